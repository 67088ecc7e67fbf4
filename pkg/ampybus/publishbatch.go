package ampybus

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// PublishBatch stores several messages and waits for all. If one of them is
// invalid nothing is published. The errors of the others are joined; each is a
// *PublishError that names its message.
func (b *Bus) PublishBatch(ctx context.Context, es ...Envelope) error {
	rs := make([]*pending, len(es))
	var faults []error
	for i, e := range es {
		r, err := b.encode(ctx, e, mayAsk)
		if err != nil {
			faults = append(faults, fmt.Errorf("message %d: %w", i, err))
		}
		rs[i] = r
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	w := &batchWait{all: make(chan struct{})}
	n, err := b.startAll(ctx, rs, w)
	if err != nil {
		for _, rest := range rs[n:] {
			faults = append(faults, notStarted(rest, err))
		}
	}
	return errors.Join(append(w.wait(ctx, n), faults...)...)
}

// startAll submits rs together, as far as there is room; who waits for room has
// submitted what went before. It stops with n submitted when ctx ends.
func (b *Bus) startAll(ctx context.Context, rs []*pending, w *batchWait) (n int, err error) {
	done := w.settled
	for i, r := range rs {
		if !b.pipe.budget.try(r.size) {
			b.pipe.submitAll(rs[n:i])
			n = i
			if err := b.pipe.budget.acquire(ctx, r.size); err != nil {
				return n, err
			}
		}
		r.done = done
	}
	b.pipe.submitAll(rs[n:])
	return len(rs), nil
}

// batchWait gathers the outcomes of a batch; who waits is woken once.
type batchWait struct {
	all chan struct{} // closed when so many have settled as are waited for

	mu     sync.Mutex
	ended  int
	wanted int // 0: not known yet
	faults []error
}

func (w *batchWait) settled(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.faults = append(w.faults, err)
	}
	if w.ended++; w.ended == w.wanted {
		close(w.all)
	}
}

// want sets how many are waited for, and reports whether they have settled.
func (w *batchWait) want(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted = n
	return w.ended == n
}

// wait returns the errors of n messages; the last one says so if ctx ends first.
func (w *batchWait) wait(ctx context.Context, n int) []error {
	early := error(nil)
	if !w.want(n) {
		select {
		case <-w.all:
		case <-ctx.Done():
			early = fmt.Errorf("publish batch: %w: %w", ErrUncertain, ctx.Err())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	faults := append([]error(nil), w.faults...)
	if early != nil && w.ended < n {
		faults = append(faults, early)
	}
	return faults
}
