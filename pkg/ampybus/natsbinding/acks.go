package natsbinding

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// ackTable awaits the acknowledgements of publishes: one subscription for all
// of them, and a token at the end of each reply subject that says which one.
// The client's own asynchronous publishing is not used: it retries by itself,
// and then a key's records can overtake each other.
type ackTable struct {
	timeout time.Duration
	place   int // where the token begins in a reply subject

	mu     sync.Mutex
	prefix string // reply subjects are prefix + token, and more behind it in a fast batch
	slots  []ackSlot
	free   []uint32
	noSub  bool
	closed bool

	stop chan struct{}
	done chan struct{}
}

// waiter is told the outcome of its publish, exactly once.
type waiter interface {
	// acked brings the answer to attempt i, or an error in its place.
	acked(i int, m *nats.Msg, err error)
	// on reports whether attempt i published on subject.
	on(i int, subject string) bool
}

type ackSlot struct {
	gen  uint32
	w    waiter // nil: free
	i    int
	sent time.Time
}

func newAckTable(timeout time.Duration) *ackTable {
	a := &ackTable{timeout: timeout, stop: make(chan struct{}), done: make(chan struct{})}
	go a.expire()
	return a
}

func (a *ackTable) subscribe(nc *nats.Conn) error {
	a.mu.Lock()
	a.prefix = nc.NewInbox() + "."
	a.place = len(a.prefix)
	a.mu.Unlock()
	sub, err := nc.Subscribe(a.subject(), a.onAck)
	if err != nil {
		return err
	}
	// What waits here is bounded by the publishes in flight.
	return sub.SetPendingLimits(-1, -1)
}

func (a *ackTable) subject() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.prefix + ">"
}

// open registers attempt i of w and returns its reply subject and token.
func (a *ackTable) open(w waiter, i int) (reply string, token uint64, err error) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return "", 0, driver.ErrClosed
	}
	var n uint32
	if len(a.free) > 0 {
		n = a.free[len(a.free)-1]
		a.free = a.free[:len(a.free)-1]
	} else {
		n = uint32(len(a.slots))
		a.slots = append(a.slots, ackSlot{})
	}
	s := &a.slots[n]
	s.w, s.i, s.sent = w, i, now
	token = uint64(s.gen)<<32 | uint64(n)
	var buf [80]byte
	return string(strconv.AppendUint(append(buf[:0], a.prefix...), token, 36)), token, nil
}

// take removes the attempt with this token; nil when it is settled already.
func (a *ackTable) take(token uint64) (waiter, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.slotLocked(token)
	if s == nil {
		return nil, 0
	}
	w, i := s.w, s.i
	a.freeLocked(uint32(token))
	return w, i
}

// slotLocked is the open attempt with this token; nil when it is settled already.
func (a *ackTable) slotLocked(token uint64) *ackSlot {
	n := uint32(token)
	if int(n) >= len(a.slots) {
		return nil
	}
	if s := &a.slots[n]; s.w != nil && s.gen == uint32(token>>32) {
		return s
	}
	return nil
}

func (a *ackTable) freeLocked(n uint32) {
	s := &a.slots[n]
	s.w = nil
	s.gen++
	a.free = append(a.free, n)
}

// peek is the waiter of an attempt that stays open.
func (a *ackTable) peek(token uint64) waiter {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.slotLocked(token); s != nil {
		return s.w
	}
	return nil
}

func (a *ackTable) onAck(m *nats.Msg) {
	digits, _, fast := strings.Cut(m.Subject[a.place:], ".")
	token, err := strconv.ParseUint(digits, 36, 64)
	if err != nil {
		return
	}
	if fast {
		if b, ok := a.peek(token).(*fastBatch); !ok || !b.ends(m) {
			return
		}
	}
	if w, i := a.take(token); w != nil {
		w.acked(i, m, nil)
	}
}

// takeIf settles with err every attempt that match selects.
func (a *ackTable) takeIf(match func(*ackSlot) bool, err error) {
	type attempt struct {
		w waiter
		i int
	}
	var hit []attempt
	a.mu.Lock()
	for n := range a.slots {
		if s := &a.slots[n]; s.w != nil && match(s) {
			hit = append(hit, attempt{s.w, s.i})
			a.freeLocked(uint32(n))
		}
	}
	a.mu.Unlock()
	for _, h := range hit {
		h.w.acked(h.i, nil, err)
	}
}

// failAll settles everything in flight after the connection broke: what was
// sent may be stored, and what was not sent will not be sent any more.
func (a *ackTable) failAll() {
	a.takeIf(func(*ackSlot) bool { return true }, fmt.Errorf("%w: the connection broke before the acknowledgement", uncertain()))
}

// refused settles publishes on a subject that the server forbids. It says so
// on the side only, and never acknowledges them.
func (a *ackTable) refused(subject string) {
	a.takeIf(func(s *ackSlot) bool { return s.w.on(s.i, subject) }, fmt.Errorf("%w: publish to %s", driver.ErrPermission, subject))
}

// deny notes that the server forbids the subscription for acknowledgements.
func (a *ackTable) deny(subject string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if subject == a.prefix+">" {
		a.noSub = true
	}
}

func (a *ackTable) denied() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.noSub
}

// expire settles attempts that wait too long.
func (a *ackTable) expire() {
	defer close(a.done)
	tick := time.NewTicker(max(a.timeout/20, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-a.stop:
			return
		case now := <-tick.C:
			a.takeIf(func(s *ackSlot) bool { return now.Sub(s.sent) >= a.timeout },
				fmt.Errorf("%w: no acknowledgement within %s", uncertain(), a.timeout))
		}
	}
}

// uncertain is the truth about a publish without an answer.
func uncertain() error {
	if mutant.On("report-fail-on-timeout") {
		return driver.ErrUnavailable
	}
	return driver.ErrUncertain
}

func (a *ackTable) close() {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return
	}
	a.closed = true
	a.mu.Unlock()
	close(a.stop)
	<-a.done
	a.failAll()
}
