package keyed_test

import (
	"fmt"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
)

// checkEffect: an effect comes once, from the lane's newest writer, never on a
// parked key, and in the order of its key.
func (w *world) checkEffect(r *record, epoch uint64) {
	if r.effects > 1 {
		w.fail("effect twice: %s", r.id())
	}
	if r.dead {
		w.fail("effect of a dead-lettered record: %s", r.id())
	}
	if cause, parked := w.store.parked[r.key]; parked {
		w.fail("effect of %s on a key that %s parked", r.id(), cause)
	}
	w.checkSettle(r, epoch)
}

// checkSettle: what settles a record comes in the order of its key and from
// nobody whom a newer owner has replaced in the store.
func (w *world) checkSettle(r *record, epoch uint64) {
	if epoch < w.store.fence[r.lane] {
		w.fail("stale effect: %s at epoch %d after %d", r.id(), epoch, w.store.fence[r.lane])
	}
	if last, ok := w.store.last[r.key]; ok && r.pos < last {
		w.fail("key inversion: %s after position %d", r.id(), last)
	}
	w.store.last[r.key] = r.pos
}

// checkTask: a key runs one item at a time in a process, in order, and attempts
// are counted.
func (w *world) checkTask(m *member, t keyed.Task[*work]) {
	wk := t.Value
	for _, o := range m.tasks {
		if o.task.Lane == t.Lane && o.task.Key == t.Key && !o.finished {
			w.fail("two in flight: %s and %s", o.task.Value.rec.id(), wk.rec.id())
		}
	}
	at := fmt.Sprintf("%s@%d", t.Key, t.Epoch)
	if t.Pos < m.handed[at] {
		w.fail("handed out %s after position %d", wk.rec.id(), m.handed[at])
	}
	m.handed[at] = t.Pos
	w.checkAttempt(wk, t)
	if t.Parked && t.Predecessor == "" {
		w.fail("%s is parked without a predecessor", wk.rec.id())
	}
}

// checkAttempt: attempts, their first time and the wait between them are as the
// verdicts said. Parking and releasing a key start them over.
func (w *world) checkAttempt(wk *work, t keyed.Task[*work]) {
	switch {
	case wk.first.IsZero():
		wk.first = w.now
	case wk.uncounted:
		wk.first = wk.first.Add(w.now.Sub(wk.started))
	}
	wk.started, wk.uncounted = w.now, false
	wk.sawParked = wk.sawParked || t.Parked
	switch {
	case wk.sawParked:
	case t.Attempt != wk.tries+1:
		w.fail("attempt %d of %s after %d tries", t.Attempt, wk.rec.id(), wk.tries)
	case !t.FirstTried.Equal(wk.first):
		w.fail("%s first tried at %v, the core says %v", wk.rec.id(), wk.first, t.FirstTried)
	case w.now.Before(wk.notBefore):
		w.fail("%s runs %v early", wk.rec.id(), wk.notBefore.Sub(w.now))
	}
}

// noteRetry remembers when the item may run again at the earliest.
func (w *world) noteRetry(wk *work, v keyed.Verdict) {
	if v.Outcome != keyed.Retry {
		return
	}
	attempt := wk.tries
	if wk.uncounted = v.Uncounted; v.Uncounted {
		attempt++
	}
	wait := v.After
	if wait == 0 {
		wait = backoffFor(attempt, "")
	}
	wk.notBefore = w.now.Add(wait)
}

// checkLetter: an owner dead-letters the records of a key in order.
func (w *world) checkLetter(m *member, t keyed.Task[*work]) {
	at := fmt.Sprintf("%s@%d", t.Key, t.Epoch)
	if t.Pos < m.handed[at] {
		w.fail("dead letter of %s after position %d ran", t.Value.rec.id(), m.handed[at])
	}
}

// checkLow: the committable position never goes back within an epoch.
func (w *world) checkLow(m *member, lane int, low, epoch uint64) {
	if epoch == m.epoch[lane] && low < m.lows[lane] {
		w.fail("low of lane %d went back from %d to %d in epoch %d", lane, m.lows[lane], low, epoch)
	}
	m.lows[lane] = low
}

// checkCommit: the committed position never goes back, and nothing below it is
// unsettled.
func (w *world) checkCommit(l *simLane, q commitRequest, fenced bool) {
	if fenced {
		w.fail("commit of epoch %d accepted in epoch %d", q.epoch, l.epoch)
	}
	if q.low < l.committed {
		w.fail("commit of lane %d went back from %d to %d", q.lane, l.committed, q.low)
	}
	for l.checked < len(l.log) && l.log[l.checked].pos < q.low {
		if r := l.log[l.checked]; !r.settled() {
			w.fail("commit of %d beyond the unfinished record %s", q.low, r.id())
		}
		l.checked++
	}
	w.tracef("lane %d commits %d in epoch %d", q.lane, q.low, q.epoch)
}

// checkBounds: limits hold but for the one batch that each lane may have had on
// the wire, twice if it was delivered twice.
func (w *world) checkBounds(m *member) {
	s := m.core.Stats()
	over := len(w.lanes) * 2 * maxBatch
	if s.Items > w.config.MaxItems+over || s.Bytes > w.config.MaxBytes+int64(over*120) {
		w.fail("member %d holds %d items and %d bytes, limits are %d and %d",
			m.id, s.Items, s.Bytes, w.config.MaxItems, w.config.MaxBytes)
	}
	if s.Keys > s.Items+s.Running {
		w.fail("member %d holds %d keys for %d items", m.id, s.Keys, s.Items)
	}
	for _, l := range w.lanes {
		if n := m.core.Span(l.name); n > int(w.config.MaxSpan)+2*maxBatch {
			w.fail("member %d spans %d records of %s, limit is %d", m.id, n, l.name, w.config.MaxSpan)
		}
	}
}

// countPause notes which limit stopped a lane.
func (w *world) countPause(m *member, lane int) {
	s := m.core.Stats()
	switch {
	case m.core.Span(w.lanes[lane].name) >= int(w.config.MaxSpan):
		w.count[pausedSpan]++
	case s.Items >= w.config.MaxItems:
		w.count[pausedItems]++
	case s.Bytes >= w.config.MaxBytes:
		w.count[pausedBytes]++
	}
}

// finished says that every lane is committed to its end.
func (w *world) finished() bool {
	for _, l := range w.lanes {
		if l.committed != l.end {
			return false
		}
	}
	return true
}

// checkEnd: every record has its effect once or its dead letter, a second copy
// of a dead letter has its reason, and the idle cores hold nothing.
func (w *world) checkEnd() {
	for _, l := range w.lanes {
		for _, r := range l.log {
			w.checkRecord(r)
		}
	}
	for _, m := range w.members {
		if !m.alive {
			continue
		}
		if s := m.core.Stats(); s.Items != 0 || s.Bytes != 0 || s.Keys != 0 || s.Ready != 0 || s.Waiting != 0 || s.Running != 0 {
			w.fail("idle member %d still holds %+v", m.id, s)
		}
	}
}

func (w *world) checkRecord(r *record) {
	if r.effects == 0 && !r.dead {
		w.fail("lost: %s", r.id())
	}
	letters := r.excuses
	if r.dead {
		letters++
	}
	if w.dlqDedupes {
		letters = min(letters, 1)
	}
	if r.letters != letters {
		w.fail("%d dead letters of %s, want %d (dead %v)", r.letters, r.id(), letters, r.dead)
	}
}
