package keyed

import (
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

// Task is an item handed out to run. Every task must be given back to Finish.
type Task[T any] struct {
	Lane  string
	Epoch uint64
	Pos   uint64
	Key   string
	// Attempt counts the times the item was handed out, 1 for the first. Both it
	// and FirstTried leave uncounted attempts out, and start over after Release.
	Attempt int
	// FirstTried is the time of the first attempt.
	FirstTried time.Time
	Value      T
	// Parked tells that an earlier item of the key died and the key is held:
	// the task is to be dead-lettered, not handled.
	Parked bool
	// Predecessor is the cause given when the key was parked. After a restart
	// the dead item itself may come again with its own identity here.
	Predecessor string

	node *node[T]
	turn uint32
}

// Outcome is what became of a task.
type Outcome int

// The outcomes. The zero value is the one that loses nothing.
const (
	Retry Outcome = iota // failed: it stays head of its key and runs again later
	Done                 // its effect has happened
	Dead                 // its dead letter is stored, acknowledged by the broker
)

// Verdict is the report on a task.
type Verdict struct {
	Outcome Outcome
	// After is the wait before a retry. Zero: Config.Backoff.
	After time.Duration
	// Uncounted takes the attempt of a retry back, and the time until the next
	// one out of FirstTried: an outage is not the item's fault.
	Uncounted bool
	// Park holds the key of a dead item until Release. A task that was handed out
	// Parked parks nothing again: a Release meanwhile stands.
	Park bool
	// Cause identifies the dead item to its successors: see Task.Predecessor.
	Cause string
}

// Next hands out the first item of the key whose turn it is. ok is false when
// nothing may run now; Wake tells when to ask again.
func (c *Core[T]) Next(now time.Time) (t Task[T], ok bool) {
	c.expire(now)
	k := c.ready.head
	if k == nil {
		return t, false
	}
	c.ready.remove(k)
	n := k.idle()
	n.running = true
	k.running++
	k.lane.top = max(k.lane.top, n.pos+1)
	k.lane.running++
	c.running++
	n.start(now)
	if mutant.On("two-inflight") {
		c.wake(k)
	}
	return c.task(k, n), true
}

// start begins an attempt. One that did not count has not aged the item either.
func (n *node[T]) start(now time.Time) {
	switch {
	case n.attempt == 0:
		n.first = now
	case n.uncounted:
		n.first = n.first.Add(now.Sub(n.started))
	}
	n.started, n.uncounted = now, false
	n.attempt++
}

func (c *Core[T]) task(k *key[T], n *node[T]) Task[T] {
	t := Task[T]{
		Lane: k.lane.name, Epoch: k.lane.epoch, Pos: n.pos, Key: k.name,
		Attempt: n.attempt, FirstTried: n.first, Value: n.value,
		node: n, turn: n.turn,
	}
	if len(c.parked) > 0 && !mutant.On("run-parked") {
		t.Predecessor, t.Parked = c.parked[k.name]
	}
	return t
}

// expire wakes the keys whose wait is over.
func (c *Core[T]) expire(now time.Time) {
	for len(c.timers.keys) > 0 && !c.timers.keys[0].at.After(now) {
		k := c.timers.keys[0]
		c.timers.remove(k)
		c.wake(k)
	}
}

// Wake returns when the next waiting key may run again. ok is false when none waits.
func (c *Core[T]) Wake() (at time.Time, ok bool) {
	if len(c.timers.keys) == 0 {
		return at, false
	}
	return c.timers.keys[0].at, true
}

// Return takes back a task that was not begun, and that somebody else may run
// now: no attempt is counted, and the time that it was in hand does not age the
// item. For Seal it has been handed out. It is void where Finish would be.
func (c *Core[T]) Return(t Task[T], now time.Time) {
	n := t.node
	if n == nil || n.turn != t.turn {
		return
	}
	k := n.key
	if !k.lane.owned || n.epoch != k.lane.epoch || k.lane.draining {
		c.Finish(t, Verdict{Outcome: Retry, Uncounted: true}, now)
		return
	}
	c.release(n)
	n.attempt--
	n.uncounted = true
	if _, parked := c.parked[k.name]; t.Parked && !parked {
		n.attempt = 0 // released meanwhile: the handler has not seen it yet
	}
	c.wake(k)
}

// release ends a task of n; who calls it says what becomes of the item.
func (c *Core[T]) release(n *node[T]) {
	n.turn++
	n.running = false
	n.key.running--
	n.key.lane.running--
	c.running--
}

// Finish takes a task back. A second Finish of a task is void, and so is one
// whose lane was revoked meanwhile, even if the lane is owned here again: its
// item was, or will be, delivered anew.
func (c *Core[T]) Finish(t Task[T], v Verdict, now time.Time) {
	n := t.node
	if n == nil || n.turn != t.turn {
		return
	}
	k := n.key
	l := k.lane
	c.release(n)
	switch {
	case !l.owned || n.epoch != l.epoch:
		c.finishStale(k, n)
	case v.Outcome == Retry:
		c.retry(k, n, t, v, now)
	default:
		if v.Outcome == Dead && v.Park && !t.Parked {
			c.Park(k.name, v.Cause)
		}
		c.settle(k, n)
	}
	c.wake(k)
	c.forgetKey(k)
}

// settle ends an item for good.
func (c *Core[T]) settle(k *key[T], n *node[T]) {
	k.remove(n)
	k.lane.span.finish(n.seq)
	c.uncount(k.lane, n)
	c.freeNode(n)
}

// retry keeps the item at the head of its key and lets the key wait. A lane
// that drains keeps nothing for later.
func (c *Core[T]) retry(k *key[T], n *node[T], t Task[T], v Verdict, now time.Time) {
	if k.lane.draining {
		k.remove(n)
		c.uncount(k.lane, n)
		c.freeNode(n)
		return
	}
	after := v.After
	if after <= 0 {
		after = c.cfg.Backoff(n.attempt, k.name)
	}
	if _, parked := c.parked[k.name]; t.Parked && !parked {
		n.attempt, after = 0, 0 // released meanwhile: the handler has not seen it yet
	} else if v.Uncounted {
		n.attempt--
		n.uncounted = true
	}
	if mutant.On("rotate-on-retry") {
		k.remove(n)
		k.push(n)
	}
	if after > 0 && !mutant.On("no-wait") {
		c.unschedule(k)
		c.timers.push(k, now.Add(after))
	}
}

// finishStale lets go of a task from before a Revoke. It says nothing about the
// items that the lane holds now.
func (c *Core[T]) finishStale(k *key[T], n *node[T]) {
	c.freeNode(n)
	if mutant.On("stale-done") && k.head != nil && !k.head.running {
		c.unschedule(k)
		c.settle(k, k.head)
	}
}
