// Package backoff says how long to wait before another try and when to give
// up. It knows no clock: the caller measures and waits.
//
//	p := backoff.Policy{Attempts: 5, Elapsed: 2 * time.Second}
//	if d, ok := p.Next(attempt, elapsed, rnd); ok { wait d, try again }
package backoff

import "time"

// Defaults of Policy.
const (
	DefaultBase = 100 * time.Millisecond
	DefaultCap  = 30 * time.Second
)

// Source gives uniform random numbers; *math/rand/v2.Rand is one.
type Source interface {
	// Int64N returns a number in [0, n); n is positive.
	Int64N(n int64) int64
}

// Policy is a budget of tries and the waits between them. The zero value waits
// from 100 ms up to 30 s and never gives up. It is safe for concurrent use.
type Policy struct {
	// Base is the longest wait after the first try; it doubles with every try.
	Base time.Duration
	// Cap bounds the wait.
	Cap time.Duration
	// Attempts bounds the tries, the first one included. Zero: no bound.
	Attempts int
	// Elapsed bounds the time from the first try to the start of the last.
	// Zero: no bound.
	Elapsed time.Duration
}

// Ceiling is the longest wait after the given failed attempt, 1 for the first:
// min(Cap, Base * 2^(attempt-1)).
func (p Policy) Ceiling(attempt int) time.Duration {
	base, limit := p.Base, p.Cap
	if base <= 0 {
		base = DefaultBase
	}
	if limit <= 0 {
		limit = DefaultCap
	}
	for d := base; ; d *= 2 {
		if attempt <= 1 || d >= limit {
			return min(d, limit)
		}
		if d > limit/2 {
			return limit
		}
		attempt--
	}
}

// Wait draws a wait after the given failed attempt, uniform in [d/2, d] with d
// its Ceiling, so that callers that failed together do not return together.
func (p Policy) Wait(attempt int, rnd Source) time.Duration {
	d := p.Ceiling(attempt)
	half := d / 2
	return half + time.Duration(rnd.Int64N(int64(d-half)+1))
}

// Next draws the wait before another try. ok is false when the budget is spent:
// attempt tries were made, the first one elapsed ago, and one more would exceed
// Attempts or start later than Elapsed.
func (p Policy) Next(attempt int, elapsed time.Duration, rnd Source) (wait time.Duration, ok bool) {
	if p.Attempts > 0 && attempt >= p.Attempts {
		return 0, false
	}
	wait = p.Wait(attempt, rnd)
	if p.Elapsed > 0 && (elapsed >= p.Elapsed || wait > p.Elapsed-elapsed) {
		return 0, false
	}
	return wait, true
}
