package service

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Log reads the payloads that a pattern holds, each time from where it stopped.
// With it a service remembers without a database: what was acknowledged to its
// producer stays in the log for the domain's retention, so reading the log
// again gives what the service knew before it was killed, or more.
//
// It may be used by several goroutines.
type Log[T proto.Message] struct {
	bus *ampybus.Bus
	r   ampybus.Range

	mu sync.Mutex
}

// NewLog returns a Log of the session.
func NewLog[T proto.Message](bus *ampybus.Bus, c Config, pattern string) *Log[T] {
	return &Log[T]{bus: bus, r: ampybus.Range{
		Pattern: pattern, Start: c.Since, From: make(map[string]uint64),
	}}
}

// CatchUp calls fn with everything that was stored since the last call, oldest
// first, up to the newest record of this moment. What stored a record before it
// caused another can count on this: who has the other finds the first here.
//
// Messages that cannot be read are left out: they are the business of the
// consumer that dead-letters them. A gap is an error.
func (l *Log[T]) CatchUp(ctx context.Context, fn func(*ampybus.Message, T) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for m, err := range l.bus.Read(ctx, l.r) {
		if m == nil {
			return err
		}
		l.r.From[m.Log] = m.Pos + 1
		if err != nil {
			continue
		}
		p, err := Decode[T](m)
		if err != nil {
			continue
		}
		if err := fn(m, p); err != nil {
			return fmt.Errorf("catch up with %s: %s: %w", l.r.Pattern, m.Origin(), err)
		}
	}
	return nil
}
