package kafkabinding

import (
	"hash/maphash"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// maxIDs is how many stored IDs are remembered for each Kafka topic, about
	// 10 MB: far more than are ever repeated after an uncertain outcome, which
	// are kept apart until they are known.
	maxIDs = 1 << 17
	// offsetBits of a place are the offset, the rest is the partition.
	offsetBits = 48
)

// idTable makes repeats harmless: it knows the IDs that this transport has
// stored or is storing, and those that lay in the log when it began.
//
// Kafka itself knows only its producers' sequence numbers, so a copy that
// another process stores while this one runs is not seen here.
type idTable struct {
	mu      sync.Mutex
	places  map[idKey]uint64   // partition and offset of what is stored, or underWay
	waiting map[idKey][]waiter // for records that are under way
	ring    []idKey            // of what is stored, oldest at turn
	turn    int
}

// underWay is no place: offsets have fewer bits.
const underWay = ^uint64(0)

// idKey is 128 bits of an ID, hashed with seeds of the process: two that
// collide are less likely than a broken disk.
type idKey [2]uint64

var idSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func keyOf(id string) idKey {
	return idKey{maphash.String(idSeeds[0], id), maphash.String(idSeeds[1], id)}
}

// waiter is a record whose outcome is that of another one with its ID.
type waiter struct {
	p *publication
	i int
}

func newIDTable() *idTable {
	return &idTable{places: make(map[idKey]uint64), waiting: make(map[idKey][]waiter)}
}

// What begin finds.
type idState int

const (
	idNew    idState = iota // it is to be sent, and finish called
	idStored                // the outcome is known
	idWaits                 // who sends it settles this one too
)

// begin notes that record i of p is to be stored. Where it is stored already, o
// is its outcome but for the log.
func (t *idTable) begin(key idKey, p *publication, i int) (o driver.Outcome, state idState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	place, known := t.places[key]
	switch {
	case !known:
		t.places[key] = underWay
		return o, idNew
	case place == underWay:
		t.waiting[key] = append(t.waiting[key], waiter{p, i})
		return o, idWaits
	}
	return driver.Outcome{Duplicate: true, Pos: place}, idStored
}

// finish ends what begin began, and returns those who wait for the outcome.
func (t *idTable) finish(key idKey, r *kgo.Record, err error) []waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		delete(t.places, key)
	} else {
		t.remember(key, r.Partition, r.Offset)
	}
	if len(t.waiting) == 0 {
		return nil
	}
	ws := t.waiting[key]
	delete(t.waiting, key)
	return ws
}

// learn notes an ID found in the log. The first place of an ID counts.
func (t *idTable) learn(id string, partition int32, offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := keyOf(id)
	if _, known := t.places[key]; !known {
		t.remember(key, partition, offset)
	}
}

// remember keeps the place of an ID, and forgets the oldest over the limit. The
// lock is held.
func (t *idTable) remember(key idKey, partition int32, offset int64) {
	t.places[key] = uint64(partition)<<offsetBits | uint64(offset)
	if len(t.ring) < maxIDs {
		t.ring = append(t.ring, key)
		return
	}
	delete(t.places, t.ring[t.turn])
	t.ring[t.turn] = key
	t.turn = (t.turn + 1) % maxIDs
}
