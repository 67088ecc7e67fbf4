package keyed_test

import (
	"slices"
	"strings"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

// store is the transactional sink: effects, the ids that are done or dead, the
// parked keys and, per lane, the highest epoch that has written. Each method is
// one transaction.
type store struct {
	w      *world
	fence  []uint64
	parked map[string]string // key to the dead record's id
	last   map[string]uint64 // per key, the position settled last
}

type writeResult int

const (
	written writeResult = iota
	duplicate
	fenced
)

func newStore(w *world) *store {
	return &store{w: w, fence: make([]uint64, len(w.lanes)), parked: map[string]string{}, last: map[string]uint64{}}
}

// admit is the fence: `UPDATE lane SET epoch = ? WHERE lane = ? AND epoch <= ?`.
func (s *store) admit(lane int, epoch uint64) bool {
	if epoch < s.fence[lane] {
		s.w.count[fencedWrites]++
		return mutant.On("no-fence")
	}
	s.fence[lane] = epoch
	return true
}

// claim raises the fence before a new owner reads what the former one wrote.
func (s *store) claim(lane int, epoch uint64) bool { return s.admit(lane, epoch) }

func (s *store) has(r *record) bool {
	if mutant.On("no-dedupe") {
		return false
	}
	return r.effects > 0 || r.dead && !mutant.On("no-dead-mark")
}

func (s *store) effect(r *record, epoch uint64) writeResult {
	if !s.admit(r.lane, epoch) {
		return fenced
	}
	if s.has(r) {
		s.w.count[deduped]++
		return duplicate
	}
	r.effects++
	s.w.checkEffect(r, epoch)
	return written
}

// markDead records that the dead letter is stored, and the parked key with it.
// Without the mark a crash could let the record succeed after its successors.
func (s *store) markDead(r *record, epoch uint64, park bool) writeResult {
	if !s.admit(r.lane, epoch) {
		return fenced
	}
	if s.has(r) {
		return duplicate
	}
	r.dead = true
	if park {
		s.parked[r.key] = r.id()
	}
	s.w.checkSettle(r, epoch)
	return written
}

// parkedOf lists the parked keys of a lane in order.
func (s *store) parkedOf(lane string) []string {
	var keys []string
	for k := range s.parked {
		if strings.HasPrefix(k, lane+"/") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
