package keyed

import (
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/internal/prefetch"
)

// node is a queued or running item.
type node[T any] struct {
	value          T
	key            *key[T]
	pos            uint64
	seq            uint64 // in the lane's span
	epoch          uint64 // the lane's when added
	size           int
	attempt        int
	running        bool
	first, started time.Time
	uncounted      bool
	turn           uint32 // grows whenever a task of this node ends: a second Finish is void
	next           *node[T]
}

// key is the state of a key that has an item in its lane. Idle keys are
// forgotten, so memory does not grow with the number of keys ever seen.
type key[T any] struct {
	name       string
	lane       *lane[T]
	head, tail *node[T] // a running item stays head
	running    int      // 0 or 1

	queued     bool // in the ready list
	prev, next *key[T]

	timer int // index in the timer heap + 1; 0: no timer
	at    time.Time
	order uint64 // of timers that fire at the same time
}

func (k *key[T]) push(n *node[T]) {
	n.next = nil
	if k.tail == nil {
		k.head = n
	} else {
		k.tail.next = n
	}
	k.tail = n
}

// remove takes an item out of the queue. It is the head in all but a mutant.
func (k *key[T]) remove(n *node[T]) {
	var prev *node[T]
	for i := k.head; i != n; i = i.next {
		prev = i
	}
	if prev == nil {
		k.head = n.next
	} else {
		prev.next = n.next
	}
	if k.tail == n {
		k.tail = prev
	}
	n.next = nil
}

// idle is the first item that does not run.
func (k *key[T]) idle() *node[T] {
	n := k.head
	for n != nil && n.running {
		n = n.next
	}
	return n
}

// keyOf finds or makes the state of a key.
func (c *Core[T]) keyOf(l *lane[T], name string) *key[T] {
	if k := l.keys[name]; k != nil {
		return k
	}
	k := c.freeKeys
	if k == nil {
		k = new(key[T])
	} else {
		c.freeKeys = k.next
	}
	k.name, k.lane, k.next = name, l, nil
	l.keys[name] = k
	c.nkeys++
	return k
}

// forgetKey drops a key without items. A task holds a running key alive.
func (c *Core[T]) forgetKey(k *key[T]) {
	if k.running > 0 || k.head != nil {
		return
	}
	delete(k.lane.keys, k.name)
	*k = key[T]{next: c.freeKeys}
	c.freeKeys = k
	c.nkeys--
}

func (c *Core[T]) newNode() *node[T] {
	n := c.freeNodes
	if n == nil {
		return new(node[T])
	}
	if c.freeNodes = n.next; n.next != nil {
		prefetch.Value(n.next) // for the next record
	}
	n.next = nil
	return n
}

func (c *Core[T]) freeNode(n *node[T]) {
	*n = node[T]{turn: n.turn, next: c.freeNodes}
	c.freeNodes = n
}

// wake lets a key take its turn if it may.
func (c *Core[T]) wake(k *key[T]) {
	if k.running >= inflight() || k.queued || k.timer != 0 || k.idle() == nil || k.lane.beyond(k) {
		return
	}
	c.ready.push(k)
}

// inflight is how many items of one key may run at once.
func inflight() int {
	if mutant.On("two-inflight") {
		return 2
	}
	return 1
}

// unschedule takes a key out of the ready list and the timers.
func (c *Core[T]) unschedule(k *key[T]) {
	if k.queued {
		c.ready.remove(k)
	}
	if k.timer != 0 {
		c.timers.remove(k)
	}
}

// readyList is the FIFO of keys whose head item may run.
type readyList[T any] struct {
	head, tail *key[T]
	n          int
}

func (r *readyList[T]) push(k *key[T]) {
	k.queued, k.prev, k.next = true, r.tail, nil
	if r.tail == nil {
		r.head = k
	} else {
		r.tail.next = k
	}
	r.tail = k
	r.n++
}

func (r *readyList[T]) remove(k *key[T]) {
	if k.prev == nil {
		r.head = k.next
	} else {
		k.prev.next = k.next
	}
	if k.next == nil {
		r.tail = k.prev
	} else {
		k.next.prev = k.prev
	}
	k.queued, k.prev, k.next = false, nil, nil
	r.n--
}
