package membinding

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Transport is one client of a Broker. It implements driver.Transport.
type Transport struct {
	b    *Broker
	done chan struct{} // closed by Close and Crash

	// settling counts publishes that have not settled.
	settling sync.WaitGroup

	// The broker's lock guards the rest.
	ended     error // why calls fail: closed
	crashed   bool
	cuts      int
	deaf      int           // LoseAcks that are on
	connected bool          // what reachable said last
	changed   chan struct{} // closed and replaced when connected changes
	sources   []*source
	readers   []*reader
}

var (
	_ driver.Transport  = (*Transport)(nil)
	_ driver.Identified = (*Transport)(nil)
)

func newTransport(b *Broker) *Transport {
	return &Transport{b: b, done: make(chan struct{}), changed: make(chan struct{})}
}

// Name returns "memory".
func (t *Transport) Name() string { return "memory" }

// Limits reports Config.MaxRecordBytes.
func (t *Transport) Limits() driver.Limits {
	return driver.Limits{MaxRecordBytes: t.b.cfg.MaxRecordBytes}
}

// Identity implements driver.Identified: the Broker's, as long as it lives.
func (t *Transport) Identity(context.Context, bool) (string, error) { return t.b.id, nil }

// ready tells why a call cannot be made now. The lock is held.
func (t *Transport) ready(ctx context.Context) error {
	switch {
	case t.ended != nil:
		return t.ended
	case ctx.Err() != nil:
		return ctx.Err()
	case !t.connected:
		return driver.ErrUnreachable
	}
	return nil
}

// Open joins a group. ctx bounds the call, not the Source. Members that are in
// a group at the same time must agree on its pattern.
func (t *Transport) Open(ctx context.Context, c driver.GroupConfig) (driver.Source, error) {
	p, err := parsePattern(c.Pattern)
	if err != nil {
		return nil, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	if err := t.ready(ctx); err != nil {
		return nil, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	s := newSource(t, c)
	if err := t.b.join(s, p); err != nil {
		return nil, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	t.sources = append(t.sources, s)
	go s.run()
	return s, nil
}

// Read opens a reader. ctx bounds the call, not the Reader.
func (t *Transport) Read(ctx context.Context, c driver.ReadConfig) (driver.Reader, error) {
	p, err := parsePattern(c.Pattern)
	if err != nil {
		return nil, fmt.Errorf("open reader: %w", err)
	}
	if (c.Follow || c.New) && !c.End.IsZero() {
		return nil, fmt.Errorf("open reader: End is set, and a reader that follows has none: %w", driver.ErrConfig)
	}
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	if err := t.ready(ctx); err != nil {
		return nil, fmt.Errorf("open reader on %s: %w", c.Pattern, err)
	}
	r := newReader(t, p, c)
	t.readers = append(t.readers, r)
	return r, nil
}

// Lanes reports lanes, or logs. A group that never read has none.
func (t *Transport) Lanes(ctx context.Context, group, pattern string) ([]driver.LaneState, error) {
	p, err := parsePattern(pattern)
	if err != nil {
		return nil, fmt.Errorf("list lanes: %w", err)
	}
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	if err := t.ready(ctx); err != nil {
		return nil, fmt.Errorf("list lanes of %s: %w", pattern, err)
	}
	var states []driver.LaneState
	for _, l := range t.b.logsOf(p) {
		if group == "" {
			states = append(states, logState(l, p))
			continue
		}
		for _, ln := range t.b.lanes(group, l.name) {
			states = append(states, ln.state())
		}
	}
	return states, nil
}

func logState(l *log, p pattern) driver.LaneState {
	return driver.LaneState{
		Lane:    l.name,
		Log:     l.name,
		First:   l.first,
		Next:    l.next(),
		Pending: l.count(p, l.first),
		Records: uint64(len(l.entries)),
		Bytes:   uint64(l.bytes),
	}
}

// Close ends the client: its members leave their groups, what is not settled
// settles with driver.ErrUncertain.
func (t *Transport) Close(context.Context) error {
	t.end(fmt.Errorf("memory transport: %w", driver.ErrClosed), false)
	return nil
}

// end stops everything on the client, and waits until it has stopped.
func (t *Transport) end(why error, crash bool) {
	t.b.mu.Lock()
	sources := slices.Clone(t.sources)
	if t.ended == nil {
		t.ended, t.crashed = why, crash
		t.b.refresh(t) // a crashed client's leases run from here
		for _, s := range sources {
			s.leave(why)
		}
		for _, r := range slices.Clone(t.readers) {
			r.end()
		}
		t.b.clients = without(t.b.clients, t)
		close(t.done)
	}
	t.b.mu.Unlock()
	for _, s := range sources {
		<-s.finished
	}
	t.settling.Wait()
}

// without drops x from xs.
func without[T comparable](xs []T, x T) []T {
	return slices.DeleteFunc(xs, func(y T) bool { return y == x })
}
