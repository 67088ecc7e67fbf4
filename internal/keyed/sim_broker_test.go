package keyed_test

import (
	"fmt"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

// record is one message of a log and what the world did with it.
type record struct {
	lane   int
	idx    int // place in the log
	pos    uint64
	key    string
	size   int
	poison bool

	effects int
	dead    bool // the store knows it as dead-lettered
	letters int  // copies in the dead-letter log
	excuses int  // copies whose writer could not mark them: each allows one more
}

func (r *record) id() string { return fmt.Sprintf("%d:%d", r.lane, r.pos) }

// settled says that nothing is lost if the record is never seen again.
func (r *record) settled() bool { return r.effects > 0 || r.letters > 0 }

// simLane is a log with a committed position, as the broker keeps it.
type simLane struct {
	name      string
	log       []*record
	end       uint64 // behind the newest record
	epoch     uint64
	owner     *member // nil: nobody
	life      int     // the owner's incarnation
	visible   int     // records published so far
	cursor    int     // next record to deliver in this epoch
	committed uint64
	checked   int // records below committed that were checked
	park      bool
}

type eventKind int

const (
	evAssigned eventKind = iota
	evLost
	evDraining
	evRecords
	evRelease
)

type event struct {
	kind  eventKind
	lane  int
	epoch uint64
	from  uint64
	recs  []*record
	key   string
}

// indexAt is the first record at or behind a position.
func (l *simLane) indexAt(pos uint64) int {
	for i, r := range l.log {
		if r.pos >= pos {
			return i
		}
	}
	return len(l.log)
}

func (l *simLane) owned() bool { return l.owner != nil && l.owner.alive && l.owner.life == l.life }

// assign gives a lane to a member under a new epoch. The former owner hears of
// it late.
func (w *world) assign(li int, m *member) {
	l := w.lanes[li]
	if old := l.owner; old != nil && old.alive && old.life == l.life {
		old.control = append(old.control, event{kind: evLost, lane: li, epoch: l.epoch})
		if old == m {
			w.count[sameMember]++
		}
	}
	l.epoch++
	l.owner, l.life = m, m.life
	l.cursor = l.indexAt(l.committed)
	m.control = append(m.control, event{kind: evAssigned, lane: li, epoch: l.epoch, from: l.committed})
	w.count[takeovers]++
	w.tracef("lane %d to member %d, epoch %d from %d", li, m.id, l.epoch, l.committed)
}

// resume starts delivery over within an epoch, as after a reconnect.
func (w *world) resume(li int) {
	l := w.lanes[li]
	if !l.owned() {
		return
	}
	if w.chance(2) {
		l.owner.data[li] = nil // what was on the wire is gone
	}
	l.cursor = l.indexAt(l.committed)
	l.owner.control = append(l.owner.control, event{kind: evAssigned, lane: li, epoch: l.epoch, from: l.committed})
	w.count[resumes]++
}

// fetch puts the next records on the wire to a member that still owns the lane.
func (w *world) fetch(m *member, li int) bool {
	l := w.lanes[li]
	if l.owner != m || l.life != m.life || m.epoch[li] != l.epoch || l.cursor == l.visible {
		return false
	}
	n := min(1+w.rnd.IntN(maxBatch), l.visible-l.cursor)
	ev := event{kind: evRecords, lane: li, epoch: l.epoch, recs: l.log[l.cursor : l.cursor+n]}
	l.cursor += n
	m.data[li] = append(m.data[li], ev)
	if w.faults && w.chance(8) {
		m.data[li] = append(m.data[li], ev)
	}
	return true
}

// commitRequest travels to the broker, possibly longer than its sender lives.
type commitRequest struct {
	m          *member
	life, lane int
	epoch, low uint64
}

// commit lets a request arrive. The answer may be lost, and one to an older
// epoch says nothing about the commit that is on its way now.
func (w *world) commit(q commitRequest) {
	l := w.lanes[q.lane]
	answered := q.m.alive && q.m.life == q.life && q.m.epoch[q.lane] == q.epoch
	fenced := q.epoch != l.epoch
	if fenced {
		w.count[fencedCommits]++
	}
	if fenced && !mutant.On("no-fence-commit") {
		if answered {
			q.m.sending[q.lane] = false
			if !w.faults || !w.chance(4) {
				q.m.revoke(q.lane, q.epoch)
			}
		}
		return
	}
	w.checkCommit(l, q, fenced)
	l.committed = q.low
	w.count[commits]++
	if answered {
		q.m.sending[q.lane] = false
		if w.faults && w.chance(8) {
			w.count[lostCommitAcks]++
			return
		}
		q.m.acked[q.lane] = max(q.m.acked[q.lane], q.low)
	}
}

// deadLetter stores a copy and reports whether the writer hears so.
func (w *world) deadLetter(r *record) bool {
	if w.faults && w.dlqDown {
		w.count[dlqRefused]++
		return false
	}
	if r.letters == 0 || !w.dlqDedupes {
		r.letters++
	}
	w.count[letters]++
	if w.faults && w.chance(8) {
		r.excuses++
		w.count[lostLetterAcks]++
		return false
	}
	return true
}
