package bench

import (
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// payloadLimit is the specification's: below 1 MiB (§13).
const payloadLimit = 1 << 20

// Verdict compares what was measured with a target (specification §13). Limit
// and Measured are in Unit.
type Verdict struct {
	Target   string  `json:"target"`
	Rate     float64 `json:"rate"` // messages a second that were due; zero: as fast as possible
	Unit     string  `json:"unit"`
	Limit    float64 `json:"limit"`
	Measured float64 `json:"measured"`
	Met      bool    `json:"met"`
}

// Units and names of targets.
const (
	unitMillis    = "ms"
	unitBytes     = "bytes"
	targetLatency = "p99, publish to first delivery"
	targetPayload = "payload"
)

// Judge compares runs of one work, end to end, with a latency and with the limit
// of a payload. The slowest run counts; one that received nothing meets nothing.
func Judge(runs []*Result, latency time.Duration) []Verdict {
	var p99 time.Duration
	all := len(runs) > 0
	for _, r := range runs {
		p99 = max(p99, r.Latency(99))
		all = all && r.Received == r.Wanted
	}
	var w Work
	if len(runs) > 0 {
		w = runs[0].Work
	}
	return []Verdict{
		{
			Target: targetLatency, Rate: w.Load.Rate, Unit: unitMillis,
			Limit: millis(latency), Measured: millis(p99), Met: all && p99 <= latency,
		},
		{
			Target: targetPayload, Rate: w.Load.Rate, Unit: unitBytes,
			Limit: payloadLimit, Measured: float64(w.Load.PayloadBytes), Met: w.Load.PayloadBytes < payloadLimit,
		},
	}
}

// LatencyTarget is what the specification asks of a topic's domain; zero: nothing.
func LatencyTarget(topic string) time.Duration {
	t, err := ampybus.ParseTopic(topic)
	if err != nil {
		return 0
	}
	policy, _ := ampybus.PolicyFor(t.Domain)
	return policy.LatencyTarget
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
