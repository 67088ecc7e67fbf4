package backoff_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/internal/backoff"
)

func policies() *rapid.Generator[backoff.Policy] {
	return rapid.Custom(func(t *rapid.T) backoff.Policy {
		return backoff.Policy{
			Base:     time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "base")),
			Cap:      time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "cap")),
			Attempts: rapid.IntRange(1, 50).Draw(t, "attempts"),
			Elapsed:  time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "elapsed")),
		}
	})
}

// retryAll fails every try on a virtual clock until the budget is spent.
func retryAll(p backoff.Policy, rnd backoff.Source, tried func(attempt int, elapsed, wait time.Duration)) (attempts int, last time.Duration) {
	var elapsed time.Duration
	for attempt := 1; ; attempt++ {
		wait, ok := p.Next(attempt, elapsed, rnd)
		if !ok {
			return attempt, elapsed
		}
		tried(attempt, elapsed, wait)
		elapsed += wait
	}
}

func TestRetriesStayWithinBoundsAndBudget(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	gen := policies()
	for i := range 10_000 {
		p := gen.Example(i)
		attempts, last := retryAll(p, rnd, func(attempt int, _, wait time.Duration) {
			d := p.Ceiling(attempt)
			if wait < d/2 || wait > d {
				t.Fatalf("%+v: wait %v after attempt %d, want within [%v, %v]", p, wait, attempt, d/2, d)
			}
		})
		if attempts > p.Attempts || last > p.Elapsed {
			t.Fatalf("%+v: %d attempts, the last after %v", p, attempts, last)
		}
	}
}

func TestCeilingDoublesUpToTheCap(t *testing.T) {
	p := backoff.Policy{Base: 100 * time.Millisecond, Cap: time.Second}
	for attempt, want := range map[int]time.Duration{
		-1: 100 * time.Millisecond, 0: 100 * time.Millisecond, 1: 100 * time.Millisecond,
		2: 200 * time.Millisecond, 4: 800 * time.Millisecond, 5: time.Second, 6: time.Second,
		math.MaxInt: time.Second,
	} {
		if got := p.Ceiling(attempt); got != want {
			t.Errorf("attempt %d: got %v, want %v", attempt, got, want)
		}
	}
}

func TestCeilingNeverOverflows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := backoff.Policy{
			Base: time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "base")),
			Cap:  time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "cap")),
		}
		attempt := rapid.IntRange(1, 200).Draw(t, "attempt")
		d, longer := p.Ceiling(attempt), p.Ceiling(attempt+1)
		if d <= 0 || d > p.Cap || longer < d {
			t.Fatalf("%+v: ceiling %v after attempt %d, %v after the next", p, d, attempt, longer)
		}
		if w := p.Wait(attempt, rand.New(rand.NewPCG(3, 4))); w < d/2 || w > d {
			t.Fatalf("%+v: wait %v, ceiling %v", p, w, d)
		}
	})
}

func TestJitterIsUniform(t *testing.T) {
	p := backoff.Policy{Base: time.Second, Cap: time.Minute}
	rnd := rand.New(rand.NewPCG(5, 6))
	for attempt := 1; attempt <= 8; attempt++ {
		d := p.Ceiling(attempt)
		const n = 10_000
		var sum float64
		var quarters [4]int
		for range n {
			w := p.Wait(attempt, rnd)
			sum += float64(w)
			quarters[min(3, int(8*(w-d/2)/d))]++
		}
		if mean, want := sum/n, 0.75*float64(d); math.Abs(mean-want) > 0.05*want {
			t.Errorf("attempt %d: mean wait %v, want %v within 5 %%", attempt, time.Duration(mean), time.Duration(want))
		}
		for q, got := range quarters {
			if got < n/4*9/10 || got > n/4*11/10 {
				t.Errorf("attempt %d: %d of %d waits in quarter %d", attempt, got, n, q)
			}
		}
	}
}

func TestBudgetEndsByAttemptsOrByTime(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	byAttempts := backoff.Policy{Base: time.Millisecond, Cap: time.Millisecond, Attempts: 5, Elapsed: time.Hour}
	if n, _ := retryAll(byAttempts, rnd, func(int, time.Duration, time.Duration) {}); n != 5 {
		t.Errorf("%d attempts, want 5", n)
	}
	byTime := backoff.Policy{Base: time.Second, Cap: time.Second, Attempts: 1000, Elapsed: 10 * time.Second}
	if n, last := retryAll(byTime, rnd, func(int, time.Duration, time.Duration) {}); n < 11 || n > 21 || last > byTime.Elapsed {
		t.Errorf("%d attempts, the last after %v", n, last)
	}
	if _, ok := (backoff.Policy{}).Next(1_000_000, 1000*time.Hour, rnd); !ok {
		t.Error("a policy without bounds gave up")
	}
}

func TestZeroPolicyWaitsTheDefaults(t *testing.T) {
	var p backoff.Policy
	if p.Ceiling(1) != backoff.DefaultBase || p.Ceiling(100) != backoff.DefaultCap {
		t.Errorf("ceilings %v and %v", p.Ceiling(1), p.Ceiling(100))
	}
}
