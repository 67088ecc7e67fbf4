package keyed_test

import (
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

const (
	maxBatch    = 6
	maxAttempts = 3
)

// work is what the consumer keeps of a delivery between attempts.
type work struct {
	rec       *record
	tries     int
	first     time.Time // of the first attempt, later by what did not count
	started   time.Time // of the last attempt
	uncounted bool      // so was the last attempt
	notBefore time.Time // of the next one
	dying     bool      // the budget is spent: only the dead letter is still to do
	sawParked bool
}

type phase int

const (
	phHandle phase = iota // check for duplicates, run the handler, write the effect
	phLetter              // store the dead letter
	phMark                // mark it, and park the key
	phFinish              // tell the core
)

type attempt struct {
	task    keyed.Task[*work]
	phase   phase
	verdict keyed.Verdict
	// finished belongs to the mutant that settles before the dead letter.
	finished bool
}

// member is one process of the group: the consumer loop around a core.
type member struct {
	w       *world
	id      int
	life    int // grows with every restart
	alive   bool
	core    *keyed.Core[*work]
	epoch   []uint64 // per lane, the epoch assigned last; 0: none
	drain   []bool
	sending []bool   // per lane, a commit is on its way
	acked   []uint64 // per lane, the position known as committed
	lows    []uint64
	control []event
	data    [][]event
	tasks   []*attempt
	handed  map[string]uint64 // per key and epoch, the last position handed out
}

func (m *member) start() {
	n := len(m.w.lanes)
	m.life++
	m.alive = true
	m.core = keyed.New[*work](m.w.config)
	m.epoch, m.acked, m.lows = make([]uint64, n), make([]uint64, n), make([]uint64, n)
	m.drain, m.sending = make([]bool, n), make([]bool, n)
	m.control, m.tasks, m.data = nil, nil, make([][]event, n)
	m.handed = map[string]uint64{}
	m.w.tracef("member %d starts, life %d", m.id, m.life)
}

func (m *member) crash() {
	for _, r := range m.tasks {
		m.w.tracef("member %d dies with %s in phase %d", m.id, r.task.Value.rec.id(), r.phase)
		if r.phase == phMark {
			r.task.Value.rec.excuses++
		}
	}
	m.alive = false
	m.core = nil
	m.tasks = nil
	m.w.count[crashes]++
}

// receiveControl handles the oldest word of the broker or the operator.
func (m *member) receiveControl() {
	ev := m.control[0]
	m.control = m.control[1:]
	switch ev.kind {
	case evAssigned:
		m.assigned(ev)
	case evLost:
		m.revoke(ev.lane, ev.epoch)
	case evDraining:
		if m.epoch[ev.lane] == ev.epoch {
			m.core.Drain(m.w.lanes[ev.lane].name)
			m.drain[ev.lane] = true
		}
	case evRelease:
		m.syncParked(ev.key)
	}
}

// assigned takes a lane over: first the fence, so that the former owner writes
// nothing more, then the parked keys, then the core.
func (m *member) assigned(ev event) {
	name := m.w.lanes[ev.lane].name
	if ev.epoch < m.epoch[ev.lane] || !m.w.store.claim(ev.lane, ev.epoch) {
		return
	}
	if ev.epoch > m.epoch[ev.lane] {
		m.epoch[ev.lane], m.acked[ev.lane], m.lows[ev.lane] = ev.epoch, ev.from, 0
		m.drain[ev.lane], m.sending[ev.lane] = false, false
	}
	for _, p := range m.core.Parked() {
		if strings.HasPrefix(p.Key, name+"/") {
			m.syncParked(p.Key)
		}
	}
	for _, k := range m.w.store.parkedOf(name) {
		m.core.Park(k, m.w.store.parked[k])
	}
	m.core.Assign(name, ev.epoch, ev.from)
}

// syncParked releases a key that the store does not hold as parked.
func (m *member) syncParked(key string) {
	if _, ok := m.w.store.parked[key]; !ok {
		m.core.Release(key)
	}
}

func (m *member) revoke(lane int, epoch uint64) {
	if m.epoch[lane] != epoch {
		return
	}
	m.core.Revoke(m.w.lanes[lane].name)
	m.drain[lane] = false
}

// receiveData hands the oldest batch of a lane to the core. A batch never
// overtakes its assignment; one of an older epoch may come late.
func (m *member) receiveData(lane int) bool {
	if len(m.data[lane]) == 0 || m.data[lane][0].epoch > m.epoch[lane] {
		return false
	}
	ev := m.data[lane][0]
	m.data[lane] = m.data[lane][1:]
	for _, r := range ev.recs {
		ok := m.core.Add(keyed.Item[*work]{
			Lane: m.w.lanes[lane].name, Epoch: ev.epoch, Pos: r.pos, Key: r.key,
			Size: r.size, Value: &work{rec: r},
		})
		if !ok {
			m.w.count[refusedAdds]++
		}
	}
	m.w.checkBounds(m)
	return true
}

// pull fetches more of a lane when the core has room.
func (m *member) pull(lane int) bool {
	if m.epoch[lane] == 0 || len(m.data[lane]) > 0 {
		return false
	}
	if !m.core.CanFetch(m.w.lanes[lane].name) {
		m.w.countPause(m, lane)
		return false
	}
	return m.w.fetch(m, lane)
}

// next starts a task.
func (m *member) next() bool {
	t, ok := m.core.Next(m.w.now)
	if !ok {
		return false
	}
	m.w.checkTask(m, t)
	m.w.tracef("member %d runs %s attempt %d parked %v", m.id, t.Value.rec.id(), t.Attempt, t.Parked)
	m.tasks = append(m.tasks, &attempt{task: t})
	return true
}

// sendCommit sends the finished prefix of a lane if it moved.
func (m *member) sendCommit(lane int) bool {
	low, epoch, ok := m.core.Low(m.w.lanes[lane].name)
	if !ok || m.sending[lane] {
		return false
	}
	m.w.checkLow(m, lane, low, epoch)
	if low <= m.acked[lane] {
		return m.handOver(lane)
	}
	m.sending[lane] = true
	m.w.network = append(m.w.network, commitRequest{m, m.life, lane, epoch, low})
	return true
}

// handOver gives a drained lane away once everything finished is committed.
func (m *member) handOver(lane int) bool {
	l := m.w.lanes[lane]
	if !m.drain[lane] || m.core.Running(l.name) > 0 {
		return false
	}
	m.revoke(lane, m.epoch[lane])
	if l.epoch == m.epoch[lane] {
		m.w.count[handOvers]++
		m.w.assign(lane, m.w.anyMember())
	}
	return true
}

// step moves one running task by one phase.
func (m *member) step(i int) {
	r := m.tasks[i]
	switch r.phase {
	case phHandle:
		m.handle(r)
	case phLetter:
		m.letter(r)
	case phMark:
		m.mark(r)
	case phFinish:
		m.tasks = append(m.tasks[:i:i], m.tasks[i+1:]...)
		m.finish(r)
	}
}

func (r *attempt) end(v keyed.Verdict) { r.verdict, r.phase = v, phFinish }

func (m *member) handle(r *attempt) {
	wk := r.task.Value
	switch {
	case m.w.store.has(wk.rec):
		m.w.count[deduped]++
		r.end(done)
	case r.task.Parked || wk.dying:
		r.phase = phLetter
	case wk.rec.poison || m.w.handlerFails() && r.task.Attempt >= maxAttempts:
		wk.dying = true
		r.phase = phLetter
	case m.w.handlerFails():
		m.w.count[retries]++
		r.end(m.w.retry())
	default:
		m.effect(r)
	}
	if r.phase == phLetter && mutant.On("ack-before-dlq") {
		m.mark(r)
		m.finish(r)
		r.finished, r.phase = true, phLetter
	}
}

func (m *member) effect(r *attempt) {
	switch m.w.store.effect(r.task.Value.rec, r.task.Epoch) {
	case fenced:
		r.end(m.w.fencedVerdict())
	case written, duplicate:
		if m.w.faults && m.w.chance(10) {
			m.w.count[lostEffectAcks]++
			r.end(m.w.retry())
			return
		}
		r.end(done)
	}
}

func (m *member) letter(r *attempt) {
	m.w.checkLetter(m, r.task)
	ok := m.w.deadLetter(r.task.Value.rec)
	switch {
	case r.finished:
		r.phase = phFinish
	case ok:
		r.phase = phMark
	default:
		r.end(m.w.retry())
	}
}

func (m *member) mark(r *attempt) {
	rec := r.task.Value.rec
	park := m.w.lanes[rec.lane].park && !r.task.Parked
	switch m.w.store.markDead(rec, r.task.Epoch, park) {
	case fenced:
		rec.excuses++
		r.end(m.w.fencedVerdict())
	case duplicate:
		r.end(done)
	case written:
		m.w.count[dead]++
		if r.task.Parked {
			m.w.count[parkedDead]++
		}
		r.end(keyed.Verdict{Outcome: keyed.Dead, Park: park, Cause: rec.id()})
	}
}

func (m *member) finish(r *attempt) {
	if r.finished {
		return
	}
	if m.epoch[r.task.Value.rec.lane] != r.task.Epoch {
		m.w.count[stale]++
	}
	wk := r.task.Value
	if r.verdict.Outcome == keyed.Retry && !r.verdict.Uncounted {
		wk.tries++
	}
	m.w.noteRetry(wk, r.verdict)
	m.core.Finish(r.task, r.verdict, m.w.now)
	if m.w.chance(16) {
		m.core.Finish(r.task, done, m.w.now) // a second word on a task counts for nothing
	}
	if r.verdict.Park {
		m.syncParked(wk.rec.key) // released between the mark and now
	}
	m.w.tracef("member %d finishes %s: %+v", m.id, wk.rec.id(), r.verdict)
}
