package ampybus

import (
	"context"
	"sync"
)

// budget bounds what is handed to the bus and not settled, in items and bytes.
// One item always fits when nothing else is held, however large it is.
type budget struct {
	mu       sync.Mutex
	items    int
	bytes    int
	maxItems int
	maxBytes int
	closed   bool
	waiters  []*budgetWaiter // oldest first
	empty    chan struct{}   // closed when nothing is held after close
}

type budgetWaiter struct {
	size  int
	ready chan error
}

func newBudget(maxItems, maxBytes int) *budget {
	return &budget{maxItems: maxItems, maxBytes: maxBytes, empty: make(chan struct{})}
}

func (b *budget) fits(size int) bool {
	return b.items == 0 || (b.items < b.maxItems && b.bytes+size <= b.maxBytes)
}

// acquire waits for room, first come first served, so that the order of
// waiting publishes of one caller is kept.
func (b *budget) acquire(ctx context.Context, size int) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	if len(b.waiters) == 0 && b.fits(size) {
		b.items++
		b.bytes += size
		b.mu.Unlock()
		return nil
	}
	w := &budgetWaiter{size: size, ready: make(chan error, 1)}
	b.waiters = append(b.waiters, w)
	b.mu.Unlock()
	select {
	case err := <-w.ready:
		return err
	case <-ctx.Done():
		return b.abandon(w, ctx.Err())
	}
}

// try takes room where nobody has to wait for it.
func (b *budget) try(size int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.waiters) > 0 || !b.fits(size) {
		return false
	}
	b.items++
	b.bytes += size
	return true
}

// abandon removes w, or gives back what it was granted meanwhile.
func (b *budget) abandon(w *budgetWaiter, cause error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, x := range b.waiters {
		if x == w {
			b.waiters = append(b.waiters[:i], b.waiters[i+1:]...)
			b.grant()
			return cause
		}
	}
	if err := <-w.ready; err == nil {
		b.put(w.size)
	}
	return cause
}

func (b *budget) release(size int) {
	b.mu.Lock()
	b.put(size)
	b.mu.Unlock()
}

func (b *budget) put(size int) {
	b.items--
	b.bytes -= size
	b.grant()
	b.checkEmpty()
}

// roomPart of the limits must be free before a waiter is woken: who hands over
// more than the broker takes is then woken once for many messages, not once for
// each.
const roomPart = 16

func (b *budget) roomy() bool {
	return b.items <= b.maxItems-b.maxItems/roomPart && b.bytes <= b.maxBytes-b.maxBytes/roomPart
}

func (b *budget) grant() {
	if b.items > 0 && !b.roomy() {
		return
	}
	for len(b.waiters) > 0 && b.fits(b.waiters[0].size) {
		w := b.waiters[0]
		b.waiters = b.waiters[1:]
		b.items++
		b.bytes += w.size
		w.ready <- nil
	}
}

func (b *budget) checkEmpty() {
	if !b.closed || b.items > 0 {
		return
	}
	select {
	case <-b.empty:
	default:
		close(b.empty)
	}
}

// close refuses everything that waits or comes later.
func (b *budget) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, w := range b.waiters {
		w.ready <- ErrClosed
	}
	b.waiters = nil
	b.checkEmpty()
}

// drained waits until nothing is held, after close.
func (b *budget) drained(ctx context.Context) {
	select {
	case <-b.empty:
	case <-ctx.Done():
	}
}
