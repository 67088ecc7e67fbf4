// Package recent remembers the latest identities of many, exactly and in little
// memory: what is asked of them is mostly whether one is new.
package recent

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/AmpyFin/ampy-bus/internal/prefetch"
)

// ID is an identity of 128 bits: shorter ones would take two for one.
type ID [16]byte

// IDOf is an identity of two hashes of one thing, with different seeds.
func IDOf(a, b uint64) (id ID) {
	binary.LittleEndian.PutUint64(id[:8], a)
	binary.LittleEndian.PutUint64(id[8:], b)
	return id
}

// Window holds the latest identities, each with a value. Nothing is searched for
// what is forgotten: its place in the index is free once its number is too old.
// It is not safe for concurrent use.
//
// Asked for what it does not hold, a Window waits for memory once, where a map
// waits twice; to put something in costs that once more at most, and forgetting
// the oldest nothing. An identity takes about 40 bytes.
type Window struct {
	seed    maphash.Seed
	limit   uint32
	mask    uint32              // of numbers, for their place in entries
	next    uint32              // number of the next; they begin anew after 2³²
	count   uint32              // of what is held
	entries []*[chunkSize]entry // by number; made when they are needed
	index   []bucket            // a power of two
}

// entry is what is known of an identity.
type entry struct {
	id    ID
	value uint64
}

// chunkSize entries are made at a time, so that none are ever moved.
const chunkSize = 1 << 12

// maxLimit keeps numbers apart from those of what is long forgotten.
const maxLimit = 1 << 28

// New returns a Window of the latest limit identities: at least one, at most
// 2²⁸.
func New(limit int) *Window {
	limit = max(1, min(limit, maxLimit))
	w := &Window{seed: maphash.MakeSeed(), limit: uint32(limit), index: make([]bucket, 1)}
	size := uint32(1)
	for size < w.limit {
		size *= 2
	}
	w.mask = size - 1
	w.entries = make([]*[chunkSize]entry, (size+chunkSize-1)/chunkSize)
	return w
}

// Get returns the value of an identity, false when it is not held.
func (w *Window) Get(id ID) (uint64, bool) {
	if e := w.find(id, w.hash(id)); e != nil {
		return e.value, true
	}
	return 0, false
}

// Expect asks for the memory that a Get or Put of an identity needs, without
// waiting for it.
func (w *Window) Expect(id ID) { prefetch.Value(w.bucket(w.hash(id))) }

// Put gives an identity a value. One that is new takes the place of the oldest
// when the window is full; one that is held keeps its age.
func (w *Window) Put(id ID, value uint64) {
	hash := w.hash(id)
	if e := w.find(id, hash); e != nil {
		e.value = value
		return
	}
	*w.entry(w.next) = entry{id, value}
	number := w.next
	w.next++
	if w.count < w.limit {
		w.count++
	}
	if int(w.count) > len(w.index)*wanted {
		w.grow()
	}
	w.insert(hash, number)
}

// hash has its highest bit set, so that no slot in use is zero.
func (w *Window) hash(id ID) uint32 { return uint32(maphash.Bytes(w.seed, id[:])) | 1<<31 }

// entry is where what has a number lies.
func (w *Window) entry(number uint32) *entry {
	i := number & w.mask
	c := &w.entries[i/chunkSize]
	if *c == nil {
		*c = new([chunkSize]entry)
	}
	return &(*c)[i%chunkSize]
}

// age is how many came later than what has a number.
func (w *Window) age(number uint32) uint32 { return w.next - 1 - number }

// holds reports that what has a number is not forgotten.
func (w *Window) holds(number uint32) bool { return w.age(number) < w.count }
