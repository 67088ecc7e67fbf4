package recent

import (
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/ways"
)

// BenchmarkWindow looks an identity up that is new and puts it in, in a window
// that no cache holds; the naive way is a map and a ring.
func BenchmarkWindow(b *testing.B) {
	const limit = 1_000_000
	w, n := New(limit), uint64(0)
	take := func() {
		id := idOf(n)
		if _, held := w.Get(id); !held {
			w.Put(id, n)
		}
		n++
	}
	m, ring, next, k := make(map[ID]uint64), make([]ID, limit), 0, uint64(0)
	naive := func() {
		id := idOf(k)
		if _, held := m[id]; !held {
			delete(m, ring[next])
			m[id] = k
			ring[next] = id
			next = (next + 1) % limit
		}
		k++
	}
	for range limit {
		take()
		naive()
	}
	ways.Run(b, "bus", take)
	ways.Run(b, "naive", naive)
}
