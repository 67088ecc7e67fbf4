package keyed_test

import (
	"time"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

// maxAttempts is the retry budget of a record.
const maxAttempts = 3

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
	phHand   phase = iota // wait in the hand of a worker, who may give it back
	phHandle              // check for duplicates, run the handler, write the effect
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

// step moves one running task by one phase.
func (m *member) step(i int) {
	r := m.tasks[i]
	switch r.phase {
	case phHand:
		if r.phase = phHandle; m.w.chance(6) {
			m.tasks = append(m.tasks[:i:i], m.tasks[i+1:]...)
			m.giveBack(r)
		}
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

// giveBack returns a task that has not begun.
func (m *member) giveBack(r *attempt) {
	m.w.count[returned]++
	r.task.Value.uncounted = true
	m.core.Return(r.task, m.w.now)
	if m.w.chance(4) {
		m.core.Finish(r.task, done, m.w.now) // a word on a task that was given back counts for nothing
	}
	m.w.tracef("member %d gives %s back", m.id, r.task.Value.rec.id())
}

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
