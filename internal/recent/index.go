package recent

const (
	// slots and one word more fill a cache line.
	slots = 7
	// wanted is how many slots of a bucket are in use on average before there
	// are twice as many buckets.
	wanted = 4
)

// bucket is what has the same end of its hash. A slot is a hash in its upper and
// a number in its lower half, and free when the number is not held any more.
type bucket struct {
	slots [slots]uint64
	// spilt is the number of the latest that found no slot here and lies in a
	// later bucket, and spills; zero while there was none.
	spilt uint64
}

const spills = 1 << 32

// find is the entry of an identity, nil when it is not held.
func (w *Window) find(id ID, hash uint32) *entry {
	for i := hash; ; i++ {
		b := w.bucket(i)
		for j := range b.slots {
			s := b.slots[j]
			if uint32(s>>32) != hash || !w.holds(uint32(s)) {
				continue
			}
			if e := w.entry(uint32(s)); e.id == id {
				return e
			}
		}
		if b.spilt == 0 || !w.holds(uint32(b.spilt)) {
			return nil
		}
	}
}

// insert notes where to find what has a number: in a slot of its own bucket, or
// of the next that has one.
func (w *Window) insert(hash, number uint32) {
	for i := hash; ; i++ {
		b := w.bucket(i)
		for j := range b.slots {
			if s := b.slots[j]; s == 0 || !w.holds(uint32(s)) {
				b.slots[j] = uint64(hash)<<32 | uint64(number)
				return
			}
		}
		if b.spilt == 0 || w.age(number) < w.age(uint32(b.spilt)) {
			b.spilt = spills | uint64(number)
		}
	}
}

func (w *Window) bucket(i uint32) *bucket { return &w.index[i&uint32(len(w.index)-1)] }

// grow makes twice as many buckets.
func (w *Window) grow() {
	old := w.index
	w.index = make([]bucket, 2*len(old))
	for i := range old {
		for _, s := range old[i].slots {
			if number := uint32(s); s != 0 && number != w.next-1 && w.holds(number) {
				w.insert(uint32(s>>32), number)
			}
		}
	}
}
