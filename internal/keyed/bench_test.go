package keyed_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
	"github.com/AmpyFin/ampy-bus/internal/ways"
)

// Budget: under 300 ns and no allocation for a message's whole way (Add, Next,
// Finish, Low).
func BenchmarkMessage(b *testing.B) {
	for _, keys := range []int{1, 256, 10_000} {
		for _, queued := range []int{1, 512} {
			names := keyNames(keys)
			name := fmt.Sprintf("keys=%d/queued=%d", keys, queued)
			b.Run(name, func(b *testing.B) {
				c, i := keyed.New[int](keyed.Config{}), 0
				c.Assign("a", 1, 1)
				ways.Run(b, "bus", func() {
					c.Add(keyed.Item[int]{Lane: "a", Epoch: 1, Pos: uint64(i + 1), Key: names[i*7919%keys], Size: 100})
					if i++; i > queued {
						task, _ := c.Next(t0)
						c.Finish(task, done, t0)
					}
					c.Low("a")
				})
				n, i := naive{queues: map[string][]uint64{}, finished: map[uint64]bool{}, low: 1}, 0
				ways.Run(b, "naive", func() {
					n.add(uint64(i+1), names[i*7919%keys])
					if i++; i > queued {
						n.finish(n.next())
					}
				})
			})
		}
	}
}

// naive orders by key with a map of queues and a set of what is finished. It
// knows no retries, no takeovers and no limits.
type naive struct {
	queues   map[string][]uint64
	ready    []string
	finished map[uint64]bool
	low      uint64
}

func (n *naive) add(pos uint64, key string) {
	if len(n.queues[key]) == 0 {
		n.ready = append(n.ready, key)
	}
	n.queues[key] = append(n.queues[key], pos)
}

func (n *naive) next() (key string, pos uint64) {
	key, n.ready = n.ready[0], n.ready[1:]
	return key, n.queues[key][0]
}

func (n *naive) finish(key string, pos uint64) {
	if n.queues[key] = n.queues[key][1:]; len(n.queues[key]) > 0 {
		n.ready = append(n.ready, key)
	} else {
		delete(n.queues, key)
	}
	for n.finished[pos] = true; n.finished[n.low]; n.low++ {
		delete(n.finished, n.low)
	}
}

func keyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("XNAS.SYM%05d", i)
	}
	return names
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	names := keyNames(10_000)
	c := keyed.New[int](keyed.Config{})
	c.Assign("a", 1, 1)
	pos := uint64(0)
	step := func() {
		for range 10_000 {
			pos++
			c.Add(keyed.Item[int]{Lane: "a", Epoch: 1, Pos: pos, Key: names[pos*7919%10_000]})
			if pos > 512 {
				task, _ := c.Next(t0)
				c.Finish(task, done, t0)
			}
			c.Low("a")
		}
	}
	step()
	if n := testing.AllocsPerRun(5, step); n > 100 {
		t.Fatalf("%v allocations for 10,000 messages, want under 100", n)
	}
}

func TestIdleKeysAreForgotten(t *testing.T) {
	c := keyed.New[int](keyed.Config{})
	c.Assign("a", 1, 1)
	pass := func(from, to int) uint64 {
		for i := from; i < to; i++ {
			c.Add(keyed.Item[int]{Lane: "a", Epoch: 1, Pos: uint64(i), Key: fmt.Sprint("key", i)})
			task, _ := c.Next(t0)
			c.Finish(task, done, t0)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	early := pass(1, 10_000)
	late := pass(10_000, 500_000)
	if s := c.Stats(); s.Keys != 0 || s.Items != 0 || s.Bytes != 0 {
		t.Fatalf("idle core still holds %+v", s)
	}
	if late > early+256<<10 {
		t.Fatalf("heap grew from %d to %d bytes over 490,000 distinct keys", early, late)
	}
}
