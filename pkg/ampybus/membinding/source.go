package membinding

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// source is one member of a group. It implements driver.Source.
type source struct {
	t        *Transport
	id       string // unlike cfg.Member, its own
	cfg      driver.GroupConfig
	group    *group
	events   chan driver.Event
	wake     chan struct{} // holds one token: look again
	leaving  chan struct{} // closed when the membership ends
	finished chan struct{} // closed when run has returned

	// The broker's lock guards the rest.
	told    []driver.Event // Assigned, Draining, Lost and Trouble, not received yet
	version uint64         // grows when an event on offer may be wrong
	turn    int            // rotates among lanes
	left    bool
	err     error
}

func newSource(t *Transport, c driver.GroupConfig) *source {
	if c.Lease <= 0 {
		c.Lease = driver.DefaultLease
	}
	if c.MaxSpan <= 0 {
		c.MaxSpan = driver.DefaultMaxSpan
	}
	c.Shares = max(c.Shares, 1)
	return &source{
		t:        t,
		cfg:      c,
		events:   make(chan driver.Event),
		wake:     make(chan struct{}, 1),
		leaving:  make(chan struct{}),
		finished: make(chan struct{}),
	}
}

// Events is the member's stream of events.
func (s *source) Events() <-chan driver.Event { return s.events }

// Err is nil until Events is closed.
func (s *source) Err() error {
	select {
	case <-s.finished:
	default:
		return nil
	}
	s.t.b.mu.Lock()
	defer s.t.b.mu.Unlock()
	return s.err
}

// run hands out one event after the other until the membership ends.
func (s *source) run() {
	defer close(s.finished)
	defer close(s.events)
	var o offer
	for {
		if !s.stands(o) {
			o = s.next()
		}
		out := s.events
		if !o.set {
			out = nil
		}
		select {
		case out <- o.event:
			s.received(o)
			o = offer{}
		case <-s.wake:
		case <-s.leaving:
			return
		}
	}
}

// Commit moves the lane's committed position. While the client is cut off it
// waits.
func (s *source) Commit(ctx context.Context, name string, epoch, low uint64) error {
	err := s.asOwner(ctx, name, epoch, func(ln *lane) error {
		if low > ln.log.next() {
			return fmt.Errorf("the log ends at %d: %w", ln.log.next(), driver.ErrConfig)
		}
		ln.commit(low)
		s.wakes()
		return nil
	})
	if err != nil {
		return fmt.Errorf("commit lane %s below %d: %w", name, low, err)
	}
	return nil
}

// Mark implements driver.Source.
func (s *source) Mark(ctx context.Context, name string, epoch, behind uint64) error {
	err := s.asOwner(ctx, name, epoch, func(ln *lane) error { ln.started = behind; return nil })
	if err != nil {
		return fmt.Errorf("mark in lane %s below %d: %w", name, behind, err)
	}
	return nil
}

// asOwner changes a lane that s owns at epoch, once the broker answers.
func (s *source) asOwner(ctx context.Context, name string, epoch uint64, change func(*lane) error) error {
	for {
		wait, err := s.tryAsOwner(ctx, name, epoch, change)
		if wait == nil {
			return err
		}
		select {
		case <-wait:
		case <-s.leaving:
		case <-ctx.Done():
		}
	}
}

// tryAsOwner tries once; a channel to wait on means that no broker answers now.
func (s *source) tryAsOwner(ctx context.Context, name string, epoch uint64, change func(*lane) error) (<-chan struct{}, error) {
	s.t.b.mu.Lock()
	defer s.t.b.mu.Unlock()
	ln := s.group.lanes[name]
	switch {
	case s.left:
		return nil, driver.ErrClosed
	case ln == nil || ln.owner != s || ln.epoch != epoch:
		return nil, driver.ErrFenced
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !s.t.connected:
		return s.t.changed, nil
	}
	return nil, change(ln)
}

// Pause stops, or resumes, the delivery of a lane's records.
func (s *source) Pause(lane string, on bool) {
	s.t.b.mu.Lock()
	defer s.t.b.mu.Unlock()
	if ln := s.group.lanes[lane]; ln != nil && ln.owner == s {
		ln.paused = on
		s.revise()
	}
}

// Close leaves the group. A member that cannot reach the broker says so: its
// lanes go over when their lease ends.
func (s *source) Close(context.Context) error {
	s.t.b.mu.Lock()
	cut := !s.left && !s.t.connected
	s.leave(nil)
	s.t.b.mu.Unlock()
	<-s.finished
	if cut {
		return fmt.Errorf("close member of group %s: %w", s.cfg.Group, driver.ErrUnreachable)
	}
	return nil
}

// leave ends the membership; why is what Err reports. The lock is held.
func (s *source) leave(why error) {
	if s.left {
		return
	}
	s.left, s.err = true, why
	s.group.part(s)
	s.t.sources = without(s.t.sources, s)
	close(s.leaving)
}

// tell adds an event. The lock is held.
func (s *source) tell(ev driver.Event) {
	s.told = append(s.told, ev)
	s.revise()
}

// revise makes run look again at what it offers. The lock is held.
func (s *source) revise() {
	s.version++
	s.wakes()
}

func (s *source) wakes() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// disconnected starts the leases of all lanes owned. The lock is held.
func (s *source) disconnected() {
	for _, ln := range s.lanes() {
		ln.disconnected()
	}
	s.tell(driver.Event{Kind: driver.Trouble, Err: fmt.Errorf("group %s: %w", s.cfg.Group, driver.ErrUnreachable)})
}

// reconnected goes on with what is still owned. The lock is held.
func (s *source) reconnected() {
	for _, ln := range s.lanes() {
		ln.reconnected()
	}
	s.group.balance()
	s.revise()
}

// lanes lists the lanes owned, by name. The lock is held.
func (s *source) lanes() []*lane {
	var owned []*lane
	for _, name := range slices.Sorted(maps.Keys(s.group.lanes)) {
		if ln := s.group.lanes[name]; ln.owner == s {
			owned = append(owned, ln)
		}
	}
	return owned
}
