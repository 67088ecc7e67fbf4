package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// A way is how a client receives.
type way func(ctx context.Context, r Reception) error

// RunConsume measures how fast c works off, as a new group, the load's messages
// that were stored from the given time on. Time counts from the first message to
// the last, so joining does not; cost counts from the beginning, because a client
// may have fetched many messages before it hands over the first.
func RunConsume(ctx context.Context, name string, c Client, l Load, from time.Time) (*Result, error) {
	return receive(ctx, name, c.Consume, l, from)
}

// RunRead is RunConsume without a group: reading history.
func RunRead(ctx context.Context, name string, c Client, l Load, from time.Time) (*Result, error) {
	return receive(ctx, name, c.Read, l, from)
}

func receive(ctx context.Context, name string, take way, l Load, from time.Time) (*Result, error) {
	r := newResult(name, l)
	r.receives = true
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	m := &meter{want: int64(l.Count), full: quit}
	runtime.GC() // what ran before is not this run's cost
	begin := costNow()
	err := take(ctx, Reception{
		Topic: l.Topic, Group: groupName(name), From: from, PayloadBytes: l.PayloadBytes,
		Got: func(time.Time) { m.got() },
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.Received = int(min(m.n.Load(), m.want))
	r.Bytes = int64(r.Received) * int64(l.PayloadBytes)
	if r.Received == l.Count {
		r.Took, r.used = m.ended.Sub(m.began), m.end.since(begin)
	}
	return r, nil
}

// groupName is new in each run.
func groupName(name string) string { return fmt.Sprintf("bench-%s-%08x", name, rand.Uint32()) }

// meter counts messages up to a number. The first and the last look at the clock.
type meter struct {
	n            atomic.Int64
	want         int64
	full         func()
	began, ended time.Time
	end          cost
}

func (m *meter) got() {
	n := m.n.Add(1)
	if n == 1 {
		m.began = time.Now()
	}
	if n == m.want {
		m.ended, m.end = time.Now(), costNow()
		m.full()
	}
}
