package kafkabinding

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func named(name string) *sending { return &sending{rec: kgo.Record{Topic: name}} }

type notedHandOvers struct{ names []string }

func (n *notedHandOvers) box() *outbox {
	return &outbox{produce: func(s *sending) { n.names = append(n.names, s.rec.Topic) }}
}

func TestHeldRecordsGoOutTogetherAndInOrder(t *testing.T) {
	var n notedHandOvers
	box := n.box()
	box.add(named("a"))
	box.hold()
	box.hold()
	box.add(named("b"), named("c"))
	box.release()
	box.add(named("d"))
	if want := []string{"a"}; !slices.Equal(n.names, want) {
		t.Errorf("while somebody holds: %v", n.names)
	}
	box.release()
	box.add(named("e"))
	if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(n.names, want) {
		t.Errorf("handed over %v", n.names)
	}
}

func TestAFullOutboxIsNotHeld(t *testing.T) {
	var n notedHandOvers
	box := n.box()
	box.hold()
	for range maxHeld {
		box.add(named("x"))
	}
	if len(n.names) != maxHeld {
		t.Errorf("%d of %d handed over", len(n.names), maxHeld)
	}
}

func TestRecordsOfOneGoroutineLeaveTheOutboxInOrder(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string][]int)
	box := &outbox{produce: func(s *sending) {
		runtime.Gosched() // let others come between
		mu.Lock()
		seen[s.rec.Topic] = append(seen[s.rec.Topic], s.i)
		mu.Unlock()
	}}
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			for i := range 1000 {
				if i%10 == 0 {
					box.hold()
				}
				s := named(name)
				s.i = i
				box.add(s)
				if i%10 == 9 {
					box.release()
				}
			}
		})
	}
	all.Wait()
	for name, is := range seen {
		if len(is) != 1000 || !slices.IsSorted(is) {
			t.Errorf("%s: %d records, in order: %v", name, len(is), slices.IsSorted(is))
		}
	}
}
