package ampybus

import (
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/internal/prefetch"
)

const (
	// maxHand bounds what a worker takes at once. Messages in hand are of
	// different keys, and are reported to the core together: a lock for each hand
	// instead of two for each message.
	maxHand = 64
	// handTime is how long a hand should take. A worker whose messages take
	// longer takes fewer, down to one.
	handTime = 100 * time.Microsecond
	// handPatience is how long messages wait in the hand of a worker that does
	// not come to them; then the others get them.
	handPatience = time.Millisecond
	// aheadBytes of the next payload are asked for; the processor sees for itself
	// that more is read one after the other.
	aheadBytes = 2 << 10
)

// worker runs what the core hands out.
type worker struct {
	e     *engine
	pace  int // how many messages it takes at once, from what they took so far
	timer *time.Timer
	probe bool // the hand is the one attempt of a paused consumer
	memo  topicMemo

	mu    sync.Mutex
	hand  []duty
	begun int // those before have begun
}

// duty is a message in a worker's hand.
type duty struct {
	t keyed.Task[*item]
	l *lane
	v keyed.Verdict
}

// work is one worker's life: it runs what the core hands out until the end.
// While the engine stops that is what lies below what was begun.
func (e *engine) work() {
	w := &worker{e: e, pace: 1}
	w.timer = time.AfterFunc(time.Hour, w.giveBack)
	defer w.timer.Stop()
	w.timer.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for !e.halted.Load() && !(e.stopping && mutant.On("halt-at-stop")) {
		now := time.Now()
		if !w.take(now) {
			if e.stopping {
				return
			}
			e.cond.Wait()
			continue
		}
		e.mu.Unlock()
		w.run()
		e.mu.Lock()
		w.settle(now)
	}
}

// take fills the hand, and reports whether there is something in it. The
// engine's lock is held.
func (w *worker) take(now time.Time) bool {
	e := w.e
	if e.suspects.Load() > 0 && e.running > 0 {
		return false // whoever finishes looks again
	}
	may, at := e.health.mayStart(now)
	if !may {
		if !at.IsZero() {
			e.timer.Reset(at.Sub(now))
		}
		return false
	}
	n := w.share()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hand, w.begun = w.hand[:0], 0
	for len(w.hand) < n {
		t, ok := e.core.Next(now)
		if !ok {
			break
		}
		w.hand = append(w.hand, duty{t: t, l: e.lanes[t.Lane]})
	}
	if len(w.hand) == 0 {
		e.arm()
		return false
	}
	if len(w.hand) > 1 {
		w.timer.Reset(handPatience)
	}
	e.running += len(w.hand)
	w.probe = e.health.paused.Load()
	e.health.probing = e.health.probing || w.probe
	return true
}

// share is how many messages to take: not more than leaves the others as many.
func (w *worker) share() int {
	if w.e.isWary() {
		return 1
	}
	return max(1, min(w.pace, w.e.core.Stats().Ready/w.e.c.Workers))
}

// isWary reports that messages must begin one at a time, or not at all.
func (e *engine) isWary() bool {
	return e.suspects.Load() > 0 || e.health.paused.Load() || e.halted.Load()
}

// run makes an attempt on each message in the hand.
func (w *worker) run() {
	defer w.timer.Stop()
	for d := w.begin(); d != nil; d = w.begin() {
		if d.v = released(); d.l.ctx.Err() == nil { // the lane may have gone meanwhile
			d.v = w.e.process(d.l, d.t, &w.memo)
		}
		if w.e.isWary() {
			w.giveBack()
		}
	}
}

// begin is the next message in the hand, nil when there is none.
func (w *worker) begin() *duty {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun == len(w.hand) {
		return nil
	}
	w.begun++
	w.ahead()
	return &w.hand[w.begun-1]
}

// ahead asks for the memory of what comes next in the hand: messages of
// different keys lie far apart, and each would be waited for. w.mu is held.
func (w *worker) ahead() {
	if i := w.begun + 2; i < len(w.hand) {
		prefetch.Value(w.hand[i].t.Value)
	}
	if w.begun == len(w.hand) {
		return
	}
	m := w.hand[w.begun].t.Value.m
	prefetch.Bytes(m.Record.Value[:min(len(m.Record.Value), aheadBytes)])
	if w.e.near != nil {
		w.e.near.expect(m)
	}
}

// giveBack returns what has not begun, for others to run. It may come late, for
// a hand that is finished: the next one is then given back early, no harm done.
func (w *worker) giveBack() {
	e := w.e
	e.mu.Lock()
	defer e.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun == len(w.hand) || mutant.On("keep-hand") {
		return
	}
	now := time.Now()
	for i := range w.hand[w.begun:] {
		e.core.Return(w.hand[w.begun+i].t, now)
		e.running--
	}
	w.hand = w.hand[:w.begun]
	e.cond.Broadcast()
}

// settle reports a hand that was taken at the given time, and lets the next
// steps of its lanes happen. The engine's lock is held.
func (w *worker) settle(taken time.Time) {
	e := w.e
	now := time.Now()
	e.running -= len(w.hand)
	if w.probe {
		e.health.probing = false
	}
	waits := false
	for i := range w.hand {
		d := &w.hand[i]
		e.core.Finish(d.t, d.v, now)
		waits = waits || d.v.Outcome == keyed.Retry
		e.survived(d.l)
		if i+1 == len(w.hand) || w.hand[i+1].l != d.l {
			e.finished(d.l)
		}
	}
	if waits {
		e.arm() // the next to be idle may be long in coming
	}
	w.learn(now.Sub(taken))
	clear(w.hand)
}

// learn sets how many messages to take next.
func (w *worker) learn(took time.Duration) {
	fits := int(int64(handTime) * int64(len(w.hand)) / max(int64(took), 1))
	w.pace = max(1, min(fits, 2*w.pace, maxHand))
}
