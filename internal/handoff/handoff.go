// Package handoff lets one goroutine at a time work off, in batches, what many
// add:
//
//	if q.Add(x) {
//		go work()
//	}
//
//	func work() {
//		for batch := q.Take(); batch != nil; batch = q.Take() {
//			…
//		}
//	}
package handoff

import "sync"

// Queue is what was added and not taken, in that order. The zero value is ready.
// It may be used by several goroutines.
type Queue[T any] struct {
	mu      sync.Mutex
	waiting []T
	taken   []T  // what Take returned last, to be used again
	working bool // somebody takes until nothing waits
}

// Add reports whether the caller is to see to it that somebody takes: nobody
// does.
func (q *Queue[T]) Add(x T) (begin bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, x)
	begin = !q.working
	q.working = true
	return begin
}

// Take returns all that waits, until the next call. Nil ends the work.
func (q *Queue[T]) Take() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.taken)
	if q.working = len(q.waiting) > 0; !q.working {
		q.taken = q.taken[:0]
		return nil
	}
	q.waiting, q.taken = q.taken[:0], q.waiting
	return q.taken
}
