package recent

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

func idOf(n uint64) (id ID) {
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

// plain is a window that anybody can check: identities in order of their age.
type plain struct {
	limit  int
	order  []ID
	values map[ID]uint64
}

func (p *plain) put(id ID, value uint64) {
	if _, held := p.values[id]; !held {
		if p.order = append(p.order, id); len(p.order) > p.limit {
			delete(p.values, p.order[0])
			p.order = p.order[1:]
		}
	}
	p.values[id] = value
}

// TestAWindowIsExact: it holds the latest identities, all of them and no other,
// also while its numbers begin anew.
func TestAWindowIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 300).Draw(t, "limit")
		w, p := New(limit), plain{limit: limit, values: make(map[ID]uint64)}
		w.next = -rapid.Uint32Range(0, 500).Draw(t, "numbers left")
		ids := rapid.Uint64Range(0, uint64(2*limit))
		for i, n := range rapid.SliceOfN(ids, 1, 1000).Draw(t, "ids") {
			w.Put(idOf(n), uint64(i))
			p.put(idOf(n), uint64(i))
			for _, n := range []uint64{n, ids.Draw(t, "asked for")} {
				value, held := w.Get(idOf(n))
				if want, ok := p.values[idOf(n)]; held != ok || value != want {
					t.Fatalf("%d: %d, %v, want %d, %v", n, value, held, want, ok)
				}
			}
		}
		if int(w.count) != len(p.values) {
			t.Fatalf("holds %d, want %d", w.count, len(p.values))
		}
	})
}

// TestAWindowIsExactWhereBucketsSpill: with many identities some buckets are too
// small, and what lies in a later one is found, too.
func TestAWindowIsExactWhereBucketsSpill(t *testing.T) {
	const limit = 100_000
	w := New(limit)
	for n := range uint64(3 * limit) {
		if _, held := w.Get(idOf(n)); held {
			t.Fatalf("%d is held before it was put", n)
		}
		w.Put(idOf(n), n)
	}
	spilt := 0
	for i := range w.index {
		if w.index[i].spilt != 0 {
			spilt++
		}
	}
	if spilt == 0 {
		t.Fatal("no bucket was too small")
	}
	for n := range uint64(3 * limit) {
		value, held := w.Get(idOf(n))
		if want := n >= 2*limit; held != want || held && value != n {
			t.Fatalf("%d: %d, %v", n, value, held)
		}
	}
}

func TestAFullWindowAllocatesNothing(t *testing.T) {
	w := New(1000)
	n := uint64(0)
	fill := func() {
		for range 1000 {
			w.Put(idOf(n), n)
			n++
		}
	}
	for range 5 { // some places have never been used
		fill()
	}
	if allocs := testing.AllocsPerRun(10, fill); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
