package keyed

import (
	"time"

	"github.com/AmpyFin/ampy-bus/internal/backoff"
	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

// Defaults of Config. They bound memory and what a crash delivers again.
const (
	DefaultMaxItems = 1024
	DefaultMaxBytes = 64 << 20
	DefaultMaxSpan  = 10_000
)

// Config bounds a Core. The zero value takes the defaults.
type Config struct {
	// MaxItems bounds the unfinished items of all lanes together.
	MaxItems int
	// MaxBytes bounds the sum of their sizes.
	MaxBytes int64
	// MaxSpan bounds, per lane, the records from the first unfinished one to the
	// last delivered one. Records are counted, not positions: a sparse lane of a
	// shared log has wide gaps.
	MaxSpan uint64
	// Backoff is the wait after the given failed attempt, 1 for the first.
	// Nil: 100 ms doubling to 30 s, without jitter.
	Backoff func(attempt int, key string) time.Duration
}

// Item is one delivered record.
type Item[T any] struct {
	Lane  string
	Epoch uint64 // the epoch under which it was delivered
	Pos   uint64 // position in the lane's log; positions rise, gaps are harmless
	Key   string // "" is a key like any other
	Size  int    // bytes, counted against MaxBytes
	Value T
}

// Core holds the unfinished items of a consumer's lanes. It is not safe for
// concurrent use: the caller holds a mutex.
//
// A key belongs to its lane, so the same key in two lanes runs twice at once;
// parking goes by the key alone, because an operator parks and releases "AAPL",
// wherever it is delivered.
type Core[T any] struct {
	cfg    Config
	lanes  map[string]*lane[T]
	owned  int
	parked map[string]string // key to cause
	ready  readyList[T]
	timers timerHeap[T]
	items  int
	bytes  int64
	// running counts tasks handed out, stale ones too.
	running int
	nkeys   int

	freeNodes *node[T]
	freeKeys  *key[T]
}

// New returns an empty core.
func New[T any](c Config) *Core[T] {
	if c.MaxItems <= 0 {
		c.MaxItems = DefaultMaxItems
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.MaxSpan == 0 {
		c.MaxSpan = DefaultMaxSpan
	}
	if c.Backoff == nil {
		c.Backoff = func(attempt int, _ string) time.Duration {
			return backoff.Policy{}.Ceiling(attempt)
		}
	}
	return &Core[T]{cfg: c, lanes: map[string]*lane[T]{}, parked: map[string]string{}}
}

// Assign makes the lane owned at epoch, with everything below from finished. An
// epoch above the last one revokes the lane first. Any other changes nothing: of
// a lane still owned delivery resumes, and Add drops what is known; a lane that
// was revoked stays so until its epoch grows.
func (c *Core[T]) Assign(lane string, epoch, from uint64) {
	l := c.lanes[lane]
	switch {
	case l == nil:
		l = newLane[T](lane)
		c.lanes[lane] = l
	case epoch <= l.epoch:
		return
	default:
		c.Revoke(lane)
	}
	l.owned, l.draining, l.sealed, l.epoch, l.next, l.top = true, false, false, epoch, from, 0
	c.owned++
}

// Add takes a delivered record over. It reports false, and keeps nothing, when
// the lane is not owned at the item's epoch, is draining, or has seen the
// position: a source that resumes delivers records again. A lane's records must
// be added in log order; what comes late is taken for known.
func (c *Core[T]) Add(it Item[T]) bool {
	l := c.lanes[it.Lane]
	if l == nil || !l.owned || l.draining {
		return false
	}
	if it.Epoch != l.epoch && !mutant.On("accept-stale-add") {
		return false
	}
	if it.Pos < l.next && !mutant.On("accept-known") {
		return false
	}
	k := c.keyOf(l, it.Key)
	n := c.newNode()
	n.value, n.pos, n.size, n.key, n.epoch = it.Value, it.Pos, it.Size, k, l.epoch
	n.seq = l.span.push(it.Pos)
	l.next = max(l.next, it.Pos+1)
	k.push(n)
	c.items++
	c.bytes += int64(it.Size)
	l.items++
	l.bytes += int64(it.Size)
	c.wake(k)
	return true
}

// CanFetch reports whether the lane may take more records. A batch fetched on a
// yes may overshoot the limits by itself. While several lanes are owned, each
// leaves room for the others, so that one blocked lane does not stop them all.
func (c *Core[T]) CanFetch(lane string) bool {
	l := c.lanes[lane]
	if l == nil || !l.owned || l.draining {
		return false
	}
	if mutant.On("unbounded") {
		return true
	}
	return c.items < c.cfg.MaxItems && c.bytes < c.cfg.MaxBytes &&
		l.span.len() < c.cfg.MaxSpan &&
		int64(l.items) < c.share(int64(c.cfg.MaxItems)) && l.bytes < c.share(c.cfg.MaxBytes)
}

// share is what one lane may hold of a limit: all of it when alone, else half
// of it and an equal part of the rest.
func (c *Core[T]) share(limit int64) int64 {
	return max(1, limit/2+limit/2/int64(c.owned)+limit%2)
}

// Low returns the lane's committable position: every position below it is
// finished. ok is false when the lane is not owned.
func (c *Core[T]) Low(lane string) (low, epoch uint64, ok bool) {
	l := c.lanes[lane]
	if l == nil || !l.owned {
		return 0, 0, false
	}
	return l.low(), l.epoch, true
}

// Drain stops a lane that is to be given away: queued items are dropped and Add
// refuses more, while running items finish as usual and still move Low.
func (c *Core[T]) Drain(lane string) {
	if l := c.lanes[lane]; l != nil && l.owned && !l.draining {
		l.draining = true
		c.dropQueued(l)
	}
}

// Revoke forgets a lane. Queued items are dropped; running ones become stale:
// their Finish counts for nothing, but until it comes a key of a lane that is
// assigned again starts nothing, so no key ever runs twice at once here.
func (c *Core[T]) Revoke(lane string) {
	l := c.lanes[lane]
	if l == nil || !l.owned {
		return
	}
	l.owned = false
	c.owned--
	c.dropQueued(l)
	for _, k := range l.keys { // only running items are left; their tasks hold them
		for k.head != nil {
			c.uncount(l, k.head)
			k.remove(k.head)
		}
	}
	l.span = span{}
}

// dropQueued drops every item of the lane that is not running.
func (c *Core[T]) dropQueued(l *lane[T]) {
	for _, k := range l.keys {
		c.unschedule(k)
		for n := k.idle(); n != nil; n = k.idle() {
			k.remove(n)
			c.uncount(l, n)
			c.freeNode(n)
		}
		c.forgetKey(k)
	}
}

func (c *Core[T]) uncount(l *lane[T], n *node[T]) {
	c.items--
	c.bytes -= int64(n.size)
	l.items--
	l.bytes -= int64(n.size)
}
