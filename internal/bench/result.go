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
	Work   Work
	Wanted int // messages asked for
	// Published, Failed and Uncertain count outcomes; together they are what was
	// sent. Received counts what arrived, where the run receives.
	Published, Failed, Uncertain, Received int
	Bytes                                  int64 // of payloads, before compression
	Took                                   time.Duration
	Err                                    error // of the first message that was not stored

	receives bool // the way that is measured ends at a receiver
	used     cost // by this process meanwhile
	mu       sync.Mutex
	latency  *hdrhistogram.Histogram
}

// Latencies are kept from 1 µs to a minute with three significant digits.
const (
	leastLatency = int64(time.Microsecond)
	mostLatency  = int64(time.Minute)
	digits       = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastLatency, mostLatency, digits)
}

func newResult(name string, l Load) *Result {
	return &Result{Name: name, Wanted: l.Count, latency: newHistogram()}
}

func record(h *hdrhistogram.Histogram, took time.Duration) {
	_ = h.RecordValue(min(max(int64(took), leastLatency), mostLatency)) // it is within the bounds
}

// Count is how many messages went the whole way that was measured.
func (r *Result) Count() int {
	if r.receives {
		return r.Received
	}
	return r.Published
}

// Rate is messages a second.
func (r *Result) Rate() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Count()) / r.Took.Seconds()
}

// Latency is what p percent of the messages stayed within: from sending to the
// broker's word, or end to end to the handler. Zero where only receiving was
// measured: what lies in a log already has no latency.
func (r *Result) Latency(p float64) time.Duration {
	return time.Duration(r.latency.ValueAtPercentile(p))
}

// Summary is the line that scripts look for:
// "Published 10000 messages in 2.3s (4347.8 msg/s)".
func (r *Result) Summary() string {
	did := "Published"
	if r.receives {
		did = "Received"
	}
	return fmt.Sprintf("%s %d messages in %s (%.1f msg/s)", did, r.Count(), seconds(r.Took), r.Rate())
}

// Costs is a line of percentiles, where there are any, and of what it cost.
func (r *Result) Costs() string {
	costs := fmt.Sprintf("cpu_per_million=%s allocs=%.1f alloc_bytes=%.0f",
		seconds(r.CPUPerMillion()), r.Allocs(), r.AllocBytes())
	if r.latency.TotalCount() == 0 {
		return costs
	}
	return fmt.Sprintf("latency p50=%s p90=%s p99=%s p99.9=%s max=%s %s",
		r.Latency(50), r.Latency(90), r.Latency(99), r.Latency(99.9), r.Latency(100), costs)
}

// CPUPerMillion is the client's CPU time for a million messages.
func (r *Result) CPUPerMillion() time.Duration {
	return time.Duration(over(float64(r.used.cpu), float64(r.Count())) * 1e6)
}

// Allocs is how often the client allocated memory for a message.
func (r *Result) Allocs() float64 { return over(float64(r.used.allocs), float64(r.Count())) }

// AllocBytes is how much memory the client allocated for a message.
func (r *Result) AllocBytes() float64 { return over(float64(r.used.bytes), float64(r.Count())) }

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.3fs", d.Seconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
