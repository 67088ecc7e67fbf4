package handoff_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/handoff"
)

// Everything that is added is taken once, in the order of whoever added it, and
// nobody else takes meanwhile.
func TestOneAtATimeTakesAllInOrder(t *testing.T) {
	const adders, each = 8, 2000
	type entry struct{ who, n int }
	var q handoff.Queue[entry]
	var workers atomic.Int32
	var all, work sync.WaitGroup
	var next [adders]int
	take := func() {
		for batch := q.Take(); batch != nil; batch = q.Take() {
			if workers.Add(1) != 1 {
				t.Error("two take at a time")
			}
			for _, x := range batch {
				if next[x.who] != x.n {
					t.Errorf("%d of %d is taken where %d comes next", x.n, x.who, next[x.who])
				}
				next[x.who] = x.n + 1
			}
			workers.Add(-1) // the last Take lets another one begin
		}
	}
	for who := range adders {
		all.Go(func() {
			for n := range each {
				if q.Add(entry{who, n}) {
					work.Go(take)
				}
			}
		})
	}
	all.Wait()
	work.Wait()
	for who, n := range next {
		if n != each {
			t.Errorf("%d of %d were taken of %d", n, each, who)
		}
	}
}

// What was taken is let go at the next call, also by the queue itself.
func TestTakenIsLetGo(t *testing.T) {
	var q handoff.Queue[*int]
	for range 2 {
		if !q.Add(new(int)) {
			t.Fatal("nobody is told to take")
		}
		if q.Add(new(int)) {
			t.Fatal("two are told to take")
		}
		batch := q.Take()
		if len(batch) != 2 {
			t.Fatalf("%d were taken, want 2", len(batch))
		}
		if q.Take() != nil || batch[0] != nil || batch[1] != nil {
			t.Error("the queue holds what was taken before")
		}
	}
}
