package keyed_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
)

// world is one deterministic run: a broker, a fenced store, a dead-letter log
// and several members. Everything follows from the seed.
type world struct {
	rnd     *rand.Rand
	now     time.Time
	faults  bool
	config  keyed.Config
	lanes   []*simLane
	members []*member
	store   *store
	network []commitRequest // commits on their way
	size    int             // records of all lanes

	dlqDedupes bool // the dead-letter log drops a second copy with the same id
	dlqDown    bool
	failRate   int // the handler fails once in so many calls
	faultRate  int // one step in so many injects a fault
	calm       int // of so many crashes one happens

	count counts
	err   error
	trace func(format string, args ...any)
}

func newWorld(seed uint64, trace func(string, ...any)) *world {
	w := &world{
		rnd: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), now: t0, faults: true, trace: trace,
	}
	w.config = keyed.Config{
		MaxItems: 4 + w.rnd.IntN(30), MaxBytes: int64(200 + w.rnd.IntN(3000)), MaxSpan: uint64(6 + w.rnd.IntN(40)),
		Backoff: backoffFor,
	}
	w.dlqDedupes = w.chance(2)
	w.failRate = 3 + w.rnd.IntN(12)
	w.faultRate, w.calm = 8+w.rnd.IntN(60), 1+w.rnd.IntN(4)
	for i := range 1 + w.rnd.IntN(3) {
		w.lanes = append(w.lanes, w.newLane(i))
	}
	w.store = newStore(w)
	for i := range 2 + w.rnd.IntN(2) {
		m := &member{w: w, id: i}
		m.start()
		w.members = append(w.members, m)
	}
	w.count[records] = w.size
	return w
}

func backoffFor(attempt int, _ string) time.Duration { return 10 * time.Millisecond << attempt }

// newLane fills a log. Positions have gaps, keys repeat often, some records are
// poison.
func (w *world) newLane(i int) *simLane {
	l := &simLane{name: fmt.Sprintf("lane%d", i), park: w.chance(2)}
	keys, poison := 1+w.rnd.IntN(6), 8+w.rnd.IntN(40)
	pos := uint64(w.rnd.IntN(3))
	l.committed = pos
	for idx := range 10 + w.rnd.IntN(40) {
		if w.chance(5) {
			pos += uint64(w.rnd.IntN(20))
		}
		l.log = append(l.log, &record{
			lane: i, idx: idx, pos: pos, key: fmt.Sprintf("%s/k%d", l.name, w.rnd.IntN(keys)),
			size: 1 + w.rnd.IntN(120), poison: w.chance(poison),
		})
		pos++
	}
	l.end = pos
	w.size += len(l.log)
	return l
}

func (w *world) chance(n int) bool { return w.rnd.IntN(n) == 0 }

func (w *world) tracef(format string, args ...any) {
	if w.trace != nil {
		w.trace(format, args...)
	}
}

// fail keeps the first violation.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
		w.tracef("VIOLATION: %v", w.err)
	}
}

func (w *world) handlerFails() bool { return w.faults && w.chance(w.failRate) }

func (w *world) retry() keyed.Verdict {
	v := keyed.Verdict{Outcome: keyed.Retry}
	if w.chance(3) {
		v.After = time.Duration(1+w.rnd.IntN(100)) * time.Millisecond
	}
	if w.chance(6) {
		v.Uncounted = true
		w.count[uncounted]++
	}
	return v
}

// fencedVerdict is what a handler makes of a write that the store refused: the
// careless one takes it for done.
func (w *world) fencedVerdict() keyed.Verdict {
	if w.chance(2) {
		return done
	}
	return w.retry()
}

// anyMember picks a member and starts it if it is down.
func (w *world) anyMember() *member {
	m := w.members[w.rnd.IntN(len(w.members))]
	if !m.alive {
		m.start()
	}
	return m
}

// release lets an operator free a parked key: the row goes first, members hear
// of it later.
func (w *world) release() {
	var keys []string
	for _, l := range w.lanes {
		keys = append(keys, w.store.parkedOf(l.name)...)
	}
	if len(keys) == 0 {
		return
	}
	k := keys[w.rnd.IntN(len(keys))]
	delete(w.store.parked, k)
	w.count[releases]++
	w.tracef("operator releases %s", k)
	for _, m := range w.members {
		if m.alive {
			m.control = append(m.control, event{kind: evRelease, key: k})
		}
	}
}

// publish adds a record to a log, so that the faults meet work from first to last.
func (w *world) publish() {
	if l := w.lanes[w.rnd.IntN(len(w.lanes))]; l.visible < len(l.log) {
		l.visible++
	}
}

// disturb injects one fault.
func (w *world) disturb() {
	li := w.rnd.IntN(len(w.lanes))
	l := w.lanes[li]
	switch w.rnd.IntN(12) {
	case 0, 1, 2:
		if m := w.members[w.rnd.IntN(len(w.members))]; m.alive && w.chance(w.calm) {
			m.crash()
		}
	case 3, 4, 5:
		w.assign(li, w.anyMember())
	case 6, 7: // a new epoch for the same owner, as after a lost lease
		if l.owned() {
			w.assign(li, l.owner)
		}
	case 8:
		w.resume(li)
	case 9:
		if l.owned() {
			l.owner.control = append(l.owner.control, event{kind: evDraining, lane: li, epoch: l.epoch})
		}
	case 10:
		w.dlqDown = !w.dlqDown
	case 11:
		w.release()
	}
}

// act lets a member do one thing.
func (w *world) act(m *member) {
	if !m.alive {
		m.start()
		return
	}
	for range 4 {
		if w.try(m, w.rnd.IntN(len(w.lanes))) {
			return
		}
	}
}

// try reports false when there was nothing of the chosen kind to do.
func (w *world) try(m *member, li int) bool {
	switch w.rnd.IntN(8) {
	case 0:
		// A member hears late that it lost a lane: until then it is a stale owner.
		if len(m.control) == 0 || m.control[0].kind == evLost && !w.chance(6) {
			return false
		}
		m.receiveControl()
		return true
	case 1:
		return m.receiveData(li)
	case 2:
		return m.pull(li)
	case 3, 4:
		return len(m.tasks) < 6 && m.next()
	case 5, 6:
		if len(m.tasks) == 0 {
			return false
		}
		m.step(w.rnd.IntN(len(m.tasks)))
		return true
	default:
		return m.sendCommit(li)
	}
}

// deliverCommit lets any one commit arrive: late ones overtake nothing of their
// own epoch, for a member sends one at a time.
func (w *world) deliverCommit() bool {
	if len(w.network) == 0 {
		return false
	}
	i := w.rnd.IntN(len(w.network))
	q := w.network[i]
	w.network = slices.Delete(w.network, i, i+1)
	w.commit(q)
	return true
}
