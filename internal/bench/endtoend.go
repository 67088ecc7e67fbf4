package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// probeEvery paces the messages that find out whether a group receives.
const probeEvery = 100 * time.Millisecond

// RunEndToEnd publishes the load while a new group of the same client takes it,
// and measures from when a message is due to when its handler has it.
func RunEndToEnd(ctx context.Context, name string, c Client, l Load) (*Result, error) {
	receiving, quit := context.WithCancel(ctx)
	defer quit()
	e := &endToEnd{latency: newHistogram(), ready: make(chan struct{}), all: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		ended <- c.Consume(receiving, Reception{
			Topic: l.Topic, Group: groupName(name), Timed: true, PayloadBytes: l.PayloadBytes, Got: e.got,
		})
	}()
	if err := e.warm(receiving, c, l, ended); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	used, began := costNow(), time.Now()
	e.begin(began)
	sent, err := Run(ctx, name, c, l)
	if err != nil {
		return nil, err
	}
	e.wait(ctx, sent.Published)
	sent.Took, sent.used = time.Since(began), costNow().since(used)
	quit()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return e.result(sent), nil
}

// result is what was sent, with what became of it.
func (e *endToEnd) result(sent *Result) *Result {
	e.mu.Lock()
	defer e.mu.Unlock()
	sent.receives, sent.Received, sent.latency = true, e.received, e.latency
	return sent
}

// endToEnd takes what arrives.
type endToEnd struct {
	ready, all chan struct{}
	once       sync.Once

	mu       sync.Mutex
	latency  *hdrhistogram.Histogram
	received int
	began    time.Time
	want     int // zero: not known yet
}

func (e *endToEnd) got(producedAt time.Time) {
	now := time.Now()
	e.once.Do(func() { close(e.ready) })
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.began.IsZero() || producedAt.Before(e.began) {
		return // a probe
	}
	e.received++
	record(e.latency, now.Sub(producedAt))
	e.check()
}

func (e *endToEnd) check() {
	if e.want > 0 && e.received == e.want {
		close(e.all)
	}
}

func (e *endToEnd) begin(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.began = at
}

// warm publishes until something is received.
func (e *endToEnd) warm(ctx context.Context, c Client, l Load, ended <-chan error) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		if err := c.PublishSync(ctx, l.envelope(0, time.Now(), l.payload())); err != nil {
			return err
		}
		select {
		case <-e.ready:
			return nil
		case err := <-ended:
			return errors.Join(err, errors.New("consuming ended early"))
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// arrival bounds the wait for what was published.
const arrival = 30 * time.Second

// wait returns when all that was published has arrived.
func (e *endToEnd) wait(ctx context.Context, published int) {
	e.mu.Lock()
	e.want = published
	missing := e.received < published
	e.mu.Unlock()
	if !missing {
		return
	}
	timer := time.NewTimer(arrival)
	defer timer.Stop()
	select {
	case <-e.all:
	case <-timer.C:
	case <-ctx.Done():
	}
}
