package bench

import (
	"testing"
	"time"
)

// endToEndResult is a run of which one in ten messages took as long as slow.
func endToEndResult(received int, slow time.Duration) *Result {
	r := newResult("bus", load(100))
	r.receives, r.Received = true, received
	r.Work = Work{Mode: EndToEnd, Load: load(100)}
	for i := range received {
		took := time.Millisecond
		if i%10 == 0 {
			took = slow
		}
		record(r.latency, took)
	}
	return r
}

func TestTheSlowestRunIsJudged(t *testing.T) {
	const target = 50 * time.Millisecond
	fast, slow := endToEndResult(100, 2*time.Millisecond), endToEndResult(100, 60*time.Millisecond)
	for name, c := range map[string]struct {
		runs []*Result
		met  bool
	}{
		"fast":            {[]*Result{fast, fast}, true},
		"one is slow":     {[]*Result{fast, slow, fast}, false},
		"one lost some":   {[]*Result{fast, endToEndResult(99, 2*time.Millisecond)}, false},
		"nothing arrived": {[]*Result{endToEndResult(0, 0)}, false},
		"nothing ran":     {nil, false},
	} {
		if got := Judge(c.runs, target)[0]; got.Met != c.met || got.Limit != 50 || got.Unit != "ms" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := Judge([]*Result{fast, slow}, target)[0].Measured; got < 59 || got > 61 {
		t.Errorf("measured %v ms, want 60", got)
	}
}

func TestAPayloadOfAMebibyteMissesItsTarget(t *testing.T) {
	r := endToEndResult(100, time.Millisecond)
	for size, met := range map[int]bool{1<<20 - 1: true, 1 << 20: false} {
		r.Work.Load.PayloadBytes = size
		if got := Judge([]*Result{r}, time.Second)[1]; got.Met != met {
			t.Errorf("%d bytes: %+v", size, got)
		}
	}
}

// The targets are those of section 13 of the specification.
func TestLatencyTargetsAreThoseOfTheSpecification(t *testing.T) {
	for topic, want := range map[string]time.Duration{
		"ampy.dev.orders.v1.requests": 50 * time.Millisecond, "ampy.dev.signals.v1.hyper@2025-01-01": 50 * time.Millisecond,
		"ampy.dev.fills.v1.events":   50 * time.Millisecond,
		"ampy.dev.bars.v1.XNAS.AAPL": 150 * time.Millisecond, "ampy.dev.ticks.v1.trade.MSFT": 150 * time.Millisecond,
		"ampy.dev.news.v1.raw": 0, "no topic": 0,
	} {
		if got := LatencyTarget(topic); got != want {
			t.Errorf("%s: %s, want %s", topic, got, want)
		}
	}
}

func TestWhatNeverArrivesIsNotCounted(t *testing.T) {
	r := endToEndResult(0, 0)
	r.Published = 100
	if r.Count() != 0 {
		t.Errorf("%d messages went end to end, want 0", r.Count())
	}
}
