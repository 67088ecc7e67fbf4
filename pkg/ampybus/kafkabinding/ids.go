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
	pending map[idKey]*pendingID
	stored  map[idKey]uint64 // partition and offset
	ring    []idKey          // of stored, oldest at turn
	turn    int
}

// idKey is 128 bits of an ID, hashed with seeds of the process: two that
// collide are less likely than a broken disk.
type idKey [2]uint64

var idSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func keyOf(id string) idKey {
	return idKey{maphash.String(idSeeds[0], id), maphash.String(idSeeds[1], id)}
}

// pendingID is a record under way, and who waits for it.
type pendingID struct {
	key     idKey
	first   waiter
	waiting []waiter
}

type waiter struct {
	p *publication
	i int
}

func newIDTable() *idTable {
	return &idTable{pending: make(map[idKey]*pendingID), stored: make(map[idKey]uint64)}
}

// begin notes that record i of p is to be stored. Where it is stored already,
// known is its outcome; where it is under way, id is nil and p gets the outcome
// of that one.
func (t *idTable) begin(id string, p *publication, i int) (_ *pendingID, known driver.Outcome, isKnown bool) {
	key := keyOf(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	if place, ok := t.stored[key]; ok {
		return nil, driver.Outcome{Duplicate: true, Pos: place}, true
	}
	if pid := t.pending[key]; pid != nil {
		pid.waiting = append(pid.waiting, waiter{p, i})
		return nil, driver.Outcome{}, false
	}
	pid := &pendingID{key: key, first: waiter{p, i}}
	t.pending[key] = pid
	return pid, driver.Outcome{}, false
}

// finish ends what begin began, and returns those who wait for the outcome.
func (t *idTable) finish(pid *pendingID, r *kgo.Record, err error) []waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.pending, pid.key)
	if err == nil {
		t.remember(pid.key, r.Partition, r.Offset)
	}
	return append([]waiter{pid.first}, pid.waiting...)
}

// learn notes an ID found in the log.
func (t *idTable) learn(id string, partition int32, offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remember(keyOf(id), partition, offset)
}

// remember keeps the first place of an ID. The lock is held.
func (t *idTable) remember(key idKey, partition int32, offset int64) {
	if _, ok := t.stored[key]; ok {
		return
	}
	t.stored[key] = uint64(partition)<<offsetBits | uint64(offset)
	if len(t.ring) < maxIDs {
		t.ring = append(t.ring, key)
		return
	}
	delete(t.stored, t.ring[t.turn])
	t.ring[t.turn] = key
	t.turn = (t.turn + 1) % maxIDs
}
