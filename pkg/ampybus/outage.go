package ampybus

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/backoff"
)

// Outage marks err as the fault of something the handler depends on, not of
// the message: the attempt does not count against the retry budget, and the
// consumer pauses and probes until an attempt succeeds. Outage(nil) is nil.
//
// Consumers notice an outage by themselves when fresh messages of several keys
// fail one after the other; the mark tells them at once.
func Outage(err error) error {
	if err == nil {
		return nil
	}
	return &outageError{err}
}

type outageError struct{ err error }

func (e *outageError) Error() string { return e.err.Error() }
func (e *outageError) Unwrap() error { return e.err }

const (
	// outageKeys is how many keys must fail at their first attempt, with no
	// success of any key in between, before failures count as an outage: one or
	// two bad messages are poison, not an outage.
	outageKeys = 3
	// outageFailures is how many attempts in a row must have failed by then.
	outageFailures = 8
)

// probeBackoff paces the single attempts of a paused consumer: short at first,
// so that a blip costs little, and at most 2 s behind the dependency's return.
var probeBackoff = backoff.Policy{Base: 50 * time.Millisecond, Cap: 2 * time.Second}

// health tells an outage from poison by what attempts do across keys. It is
// guarded by the engine's lock, but for what is atomic: a worker whose attempt
// succeeds while nothing is wrong takes no lock.
type health struct {
	successes atomic.Uint64
	troubled  atomic.Bool // something failed since the last success
	paused    atomic.Bool

	failing map[string]struct{} // keys whose first attempt failed since the last success
	inRow   int                 // failed attempts since the last success
	probing bool                // the one attempt of a paused consumer runs
	probes  int
	probeAt time.Time
}

// recovered takes a success after failures, and reports whether a pause ended
// with it.
func (h *health) recovered() bool {
	h.inRow, h.probes = 0, 0
	clear(h.failing)
	h.troubled.Store(false)
	return h.paused.Swap(false)
}

// failed takes a failed attempt and reports whether a pause began with it.
func (h *health) failed(key string, fresh bool, err error, now time.Time) bool {
	if h.failing == nil {
		h.failing = make(map[string]struct{})
	}
	if fresh {
		h.failing[key] = struct{}{}
	}
	h.inRow++
	h.troubled.Store(true)
	if h.paused.Load() {
		h.probes++
		h.probeAt = now.Add(probeBackoff.Wait(h.probes, globalRand{}))
		return false
	}
	var marked *outageError
	if !errors.As(err, &marked) && !h.outage() {
		return false
	}
	h.paused.Store(true)
	h.probes = 1
	h.probeAt = now.Add(probeBackoff.Wait(1, globalRand{}))
	return true
}

func (h *health) outage() bool {
	return len(h.failing) >= outageKeys && h.inRow >= outageFailures
}

// blames reports whether a message first tried at the given count of successes
// may be called poison: other keys have succeeded since, or none else fails.
func (h *health) blames(since uint64) bool {
	return !h.paused.Load() && (h.successes.Load() > since || len(h.failing) < outageKeys)
}

// mayStart reports whether a worker may start an attempt now, and when to ask
// again (zero: when something changes).
func (h *health) mayStart(now time.Time) (ok bool, at time.Time) {
	switch {
	case !h.paused.Load():
		return true, time.Time{}
	case h.probing:
		return false, time.Time{}
	case now.Before(h.probeAt):
		return false, h.probeAt
	}
	return true, time.Time{}
}
