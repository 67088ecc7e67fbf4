package drivertest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// receipt collects the outcomes of one Publish call, and holds the transport
// to the form of settling: each index once, in rising order.
type receipt struct {
	t    testing.TB
	recs []driver.Record
	done chan struct{}

	mu       sync.Mutex
	outcomes []driver.Outcome
}

// post publishes recs and returns at once.
func (e *env) post(tr driver.Transport, recs []driver.Record) *receipt {
	r := &receipt{t: e.T, recs: recs, done: make(chan struct{})}
	tr.Publish(recs, r.settle)
	return r
}

func (r *receipt) settle(i int, o driver.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i != len(r.outcomes) || i >= len(r.recs) {
		r.t.Errorf("record %d settled where %d of %d was due: %+v", i, len(r.outcomes), len(r.recs), o)
		return
	}
	r.outcomes = append(r.outcomes, o)
	if len(r.outcomes) == len(r.recs) {
		close(r.done)
	}
}

// settled says how many records have an outcome by now.
func (r *receipt) settled() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.outcomes)
}

// outcomesOf waits until all records of a call have settled.
func (e *env) outcomesOf(r *receipt) []driver.Outcome {
	e.Helper()
	e.await(r.done, "a publish to settle")
	return r.all()
}

func (r *receipt) all() []driver.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.outcomes)
}

// try publishes recs once and returns what became of each.
func (e *env) try(tr driver.Transport, recs []driver.Record) []driver.Outcome {
	e.Helper()
	return e.outcomesOf(e.post(tr, recs))
}

// publish stores recs on a healthy broker.
func (e *env) publish(tr driver.Transport, recs []driver.Record) []driver.Outcome {
	e.Helper()
	out := e.try(tr, recs)
	for i, o := range out {
		if o.Err != nil {
			e.Fatalf("publish %s: %v", recs[i].ID, o.Err)
		}
	}
	return out
}

// retryPause paces a caller that repeats after a failure.
const retryPause = 20 * time.Millisecond

// persist publishes recs as the bus does: what is not stored is repeated, with
// the same ID and in order, until it is.
func (e *env) persist(tr driver.Transport, recs []driver.Record) {
	e.Helper()
	deadline := time.NewTimer(e.h.Patience)
	defer deadline.Stop()
	for {
		out := e.try(tr, recs)
		n := slices.IndexFunc(out, func(o driver.Outcome) bool { return o.Err != nil })
		if n < 0 {
			return
		}
		recs = recs[n:]
		if err := out[n].Err; !errors.Is(err, driver.ErrUncertain) && !errors.Is(err, driver.ErrUnavailable) {
			e.Fatalf("publish %s: %v, where trying again should help", recs[0].ID, err)
		}
		pause := time.NewTimer(retryPause)
		select {
		case <-pause.C:
		case <-deadline.C:
			e.Fatalf("publish %s: still %v after %v", recs[0].ID, out[n].Err, e.h.Patience)
		}
	}
}
