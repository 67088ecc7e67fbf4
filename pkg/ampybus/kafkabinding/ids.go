package kafkabinding

import (
	"hash/maphash"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/recent"
)

const (
	// maxIDs is how many stored IDs are remembered for each Kafka topic, about
	// 6 MB: far more than are ever repeated after an uncertain outcome, which
	// are kept apart until they are known.
	maxIDs = 1 << 17
	// offsetBits of a word are the offset, the rest is the partition.
	offsetBits = 48
)

// idTable makes repeats harmless: it knows the IDs that this transport has
// stored or is storing, and those that lay in the log when it began.
//
// Kafka itself knows only its producers' sequence numbers, so a copy that
// another process stores while this one runs is not seen here.
type idTable struct {
	mu       sync.Mutex
	stored   *recent.Window     // by partition and offset
	underWay map[idKey][]waiter // with those who wait for it too
}

// idKey is 128 bits of an ID, hashed with seeds of the process: two that
// collide are less likely than a broken disk.
type idKey = recent.ID

var idSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func keyOf(id string) idKey {
	return recent.IDOf(maphash.String(idSeeds[0], id), maphash.String(idSeeds[1], id))
}

// waiter is a record whose outcome is that of another one with its ID.
type waiter struct {
	p *publication
	i int
}

func newIDTable() *idTable {
	return &idTable{stored: recent.New(maxIDs), underWay: make(map[idKey][]waiter)}
}

// What begin finds.
type idState int

const (
	idNew    idState = iota // it is to be sent, and finish called
	idStored                // the outcome is known
	idWaits                 // who sends it settles this one too
)

// begin notes that record i of p is to be stored. Where it is stored already, at
// says where.
func (t *idTable) begin(key idKey, p *publication, i int) (at uint64, state idState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ws, known := t.underWay[key]; known {
		t.underWay[key] = append(ws, waiter{p, i})
		return 0, idWaits
	}
	if at, known := t.stored.Get(key); known {
		return at, idStored
	}
	t.underWay[key] = nil
	return 0, idNew
}

// finish ends what begin began, and returns those who wait for the outcome.
func (t *idTable) finish(key idKey, r *kgo.Record, err error) []waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.stored.Put(key, placeOf(r.Partition, r.Offset))
	}
	ws := t.underWay[key]
	delete(t.underWay, key)
	return ws
}

// learn notes an ID found in the log. The first place of an ID counts.
func (t *idTable) learn(id string, partition int32, offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := keyOf(id)
	if _, known := t.underWay[key]; known {
		return
	}
	if _, known := t.stored.Get(key); !known {
		t.stored.Put(key, placeOf(partition, offset))
	}
}

// placeOf is a partition and an offset in one word, partOf takes them apart.
func placeOf(partition int32, offset int64) uint64 {
	return uint64(partition)<<offsetBits | uint64(offset)
}

func partOf(at uint64) (partition int32, offset uint64) {
	return int32(at >> offsetBits), at & (1<<offsetBits - 1)
}
