package bench

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Publisher is what is measured: it calls done once the outcome of e is known,
// from any goroutine, and may wait before it returns.
type Publisher interface {
	Publish(e ampybus.Envelope, done func(error))
}

// Bus measures a bus.
type Bus struct{ *ampybus.Bus }

// Publish implements Publisher.
func (b Bus) Publish(e ampybus.Envelope, done func(error)) { b.PublishAsync(e, done) }

// Latencies are kept from 1 µs to a minute with three significant digits.
const (
	leastLatency = int64(time.Microsecond)
	mostLatency  = int64(time.Minute)
	digits       = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastLatency, mostLatency, digits)
}

// Run publishes the load and waits for all outcomes. When ctx ends it stops
// sending, and the result holds what was sent. The error is that of the load;
// failed messages are in the result.
func Run(ctx context.Context, name string, p Publisher, l Load) (*Result, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	r := &Result{Name: name, Wanted: l.Count, latency: newHistogram()}
	payload := l.payload()
	var waiting sync.WaitGroup
	began, used := time.Now(), cpuTime()
	for i := 0; i < l.Count && pace(ctx, l, began, i); i++ {
		e := l.envelope(i, payload)
		sent, open := l.due(began, i)
		if !open {
			sent = time.Now()
		}
		waiting.Add(1)
		p.Publish(e, func(err error) {
			r.note(time.Since(sent), len(payload), err)
			waiting.Done()
		})
	}
	waiting.Wait()
	r.Took, r.CPU = time.Since(began), cpuTime()-used
	return r, nil
}

// pace waits until message i is due and reports whether to send it.
func pace(ctx context.Context, l Load, began time.Time, i int) bool {
	at, open := l.due(began, i)
	wait := time.Until(at)
	if !open || wait <= 0 {
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

// note takes the outcome of one message.
func (r *Result) note(took time.Duration, bytes int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.Published++
		r.Bytes += int64(bytes)
		_ = r.latency.RecordValue(min(max(int64(took), leastLatency), mostLatency))
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
