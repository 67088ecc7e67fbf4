package bench

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Run publishes the load and waits for all outcomes. When ctx ends it stops
// sending, and the result holds what was sent. The error is that of the load;
// failed messages are in the result.
func Run(ctx context.Context, name string, p Publisher, l Load) (*Result, error) {
	return l.measure(name, func(r *Result, began time.Time) {
		payload := l.payload()
		var waiting sync.WaitGroup
		for i := 0; i < l.Count && l.pace(ctx, began, i); i++ {
			at := l.due(began, i)
			e := l.envelope(i, at, payload)
			waiting.Add(1)
			p.Publish(e, func(err error) {
				r.note(time.Since(at), len(payload), err)
				waiting.Done()
			})
		}
		waiting.Wait()
	})
}

// RunCallers publishes the load from several goroutines, each of which waits
// for the broker's word before it goes on.
func RunCallers(ctx context.Context, name string, c Client, l Load, callers int) (*Result, error) {
	return l.measure(name, func(r *Result, began time.Time) {
		payload := l.payload()
		l.divide(ctx, began, callers, 1, func(i int, at time.Time) {
			err := c.PublishSync(ctx, l.envelope(i, at, payload))
			r.note(time.Since(at), len(payload), err)
		})
	})
}

// divide hands the load out to callers, so many messages at a time: do gets the
// first of them, and when it is due.
func (l Load) divide(ctx context.Context, began time.Time, callers, size int, do func(first int, at time.Time)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for {
				first := int(next.Add(int64(size))) - size
				if first >= l.Count || !l.pace(ctx, began, first) {
					return
				}
				do(first, l.due(began, first))
			}
		})
	}
	all.Wait()
}

// measure notes what a run takes and uses.
func (l Load) measure(name string, run func(r *Result, began time.Time)) (*Result, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	r := newResult(name, l)
	runtime.GC() // what ran before is not this run's cost
	used, began := costNow(), time.Now()
	run(r, began)
	r.Took = time.Since(began)
	r.used = costNow().since(used)
	return r, nil
}

// pace waits until message i is due and reports whether to send it.
func (l Load) pace(ctx context.Context, began time.Time, i int) bool {
	if l.Rate <= 0 {
		return ctx.Err() == nil
	}
	wait := time.Until(l.due(began, i))
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// note takes the outcome of one publish.
func (r *Result) note(took time.Duration, bytes int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.Published++
		r.Bytes += int64(bytes)
		record(r.latency, took)
		return
	case errors.Is(err, ampybus.ErrUncertain):
		r.Uncertain++
	default:
		r.Failed++
	}
	if r.Err == nil {
		r.Err = err
	}
}
