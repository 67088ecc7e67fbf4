package bench

import (
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result of one run.
type Result struct {
	Name   string
	Wanted int // messages asked for
	// Published, Failed and Uncertain count outcomes; together they are what was
	// sent.
	Published, Failed, Uncertain int
	Bytes                        int64 // of payloads published, before compression
	Took                         time.Duration
	CPU                          time.Duration // that this process used meanwhile
	Err                          error         // of the first message that was not stored

	mu      sync.Mutex
	latency *hdrhistogram.Histogram
}

// Rate is messages published a second.
func (r *Result) Rate() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Published) / r.Took.Seconds()
}

// Latency is the time from sending to the broker's word that p percent of the
// messages stayed within.
func (r *Result) Latency(p float64) time.Duration {
	return time.Duration(r.latency.ValueAtPercentile(p))
}

// Summary is the line that scripts look for:
// "Published 10000 messages in 2.3s (4347.8 msg/s)".
func (r *Result) Summary() string {
	return fmt.Sprintf("Published %d messages in %s (%.1f msg/s)", r.Published, seconds(r.Took), r.Rate())
}

// Latencies is a line of percentiles, and of what it cost.
func (r *Result) Latencies() string {
	return fmt.Sprintf("latency p50=%s p90=%s p99=%s p99.9=%s max=%s cpu_per_million=%s",
		r.Latency(50), r.Latency(90), r.Latency(99), r.Latency(99.9), r.Latency(100), seconds(r.CPUPerMillion()))
}

// CPUPerMillion is the client's CPU time for a million messages.
func (r *Result) CPUPerMillion() time.Duration {
	if r.Published == 0 {
		return 0
	}
	return time.Duration(float64(r.CPU) / float64(r.Published) * 1e6)
}

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.3fs", d.Seconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// Doc is a result as JSON.
type Doc struct {
	Name       string  `json:"name"`
	Wanted     int     `json:"wanted"`
	Published  int     `json:"published"`
	Failed     int     `json:"failed"`
	Uncertain  int     `json:"uncertain"`
	Bytes      int64   `json:"payload_bytes"`
	Seconds    float64 `json:"seconds"`
	Rate       float64 `json:"msg_per_s"`
	P50Micros  int64   `json:"p50_us"`
	P90Micros  int64   `json:"p90_us"`
	P99Micros  int64   `json:"p99_us"`
	P999Micros int64   `json:"p99_9_us"`
	MaxMicros  int64   `json:"max_us"`
	CPUSeconds float64 `json:"cpu_s_per_million"`
	Error      string  `json:"error,omitempty"`
}

// Doc returns r for encoding/json.
func (r *Result) Doc() Doc {
	d := Doc{
		Name: r.Name, Wanted: r.Wanted, Published: r.Published, Failed: r.Failed, Uncertain: r.Uncertain,
		Bytes: r.Bytes, Seconds: r.Took.Seconds(), Rate: r.Rate(),
		P50Micros: r.Latency(50).Microseconds(), P90Micros: r.Latency(90).Microseconds(),
		P99Micros: r.Latency(99).Microseconds(), P999Micros: r.Latency(99.9).Microseconds(),
		MaxMicros: r.Latency(100).Microseconds(), CPUSeconds: r.CPUPerMillion().Seconds(),
	}
	if r.Err != nil {
		d.Error = r.Err.Error()
	}
	return d
}
