// Package positions accumulates fills.v1 into positions and publishes a
// snapshot in positions.v1 after each fill, or after several that come at once.
// Snapshots of a position have growing as_of times, across instances of the
// service too.
//
// Killed at any moment, it comes back with nothing lost and nothing applied
// twice. That rests on two promises of the bus: an acknowledged fill stays in
// the log, and a message that was not finished is delivered again. So a new
// instance first reads all fills from the log, and then drops by execution id
// those that are delivered again.
package positions

import (
	"context"
	"fmt"
	"sync"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

const (
	// Name is the service's name, and its group's.
	Name = "positions"
	// MetricRepeats counts fills that were delivered and already known.
	MetricRepeats = "positions.known_fills_total"
)

// ledger is the state: every position, and the sides of all orders.
type ledger struct {
	orders *service.Log[*ordersv1.OrderRequest]

	mu        sync.Mutex
	sides     map[string]int64 // by client order id: 1 buys, -1 sells
	positions map[string]*position
}

// position is guarded by its own lock, which is held while its snapshot is
// published: so snapshots are stored in the order of their as_of.
type position struct {
	account  string
	security *commonv1.SecurityId

	mu     sync.Mutex
	book   book
	stored int // executions in the last snapshot that this instance stored
	asOf   time.Time
}

// Run accumulates fills until ctx ends.
func Run(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	l := &ledger{
		orders: service.NewLog[*ordersv1.OrderRequest](bus, c, c.Topic(ampybus.DomainOrders, "requests")),
		sides:  make(map[string]int64), positions: make(map[string]*position),
	}
	fills := c.Topic(ampybus.DomainFills, "events")
	if err := l.remember(ctx, bus, c, fills); err != nil {
		return err
	}
	return bus.Consume(ctx, c.Consumer(Name, fills), service.Decoded(
		func(ctx context.Context, m *ampybus.Message, f *fillsv1.FillEvent) error {
			p, fresh, err := l.apply(ctx, m, f)
			if err != nil {
				return err
			}
			if !fresh {
				c.Meter.Count(MetricRepeats)
			}
			return p.publish(ctx, bus, c, m)
		}))
}

// remember reads the fills, and how far the snapshots have come.
func (l *ledger) remember(ctx context.Context, bus *ampybus.Bus, c service.Config, fills string) error {
	past := service.NewLog[*fillsv1.FillEvent](bus, c, fills)
	err := past.CatchUp(ctx, func(m *ampybus.Message, f *fillsv1.FillEvent) error {
		_, _, err := l.apply(ctx, m, f)
		return err
	})
	if err != nil {
		return err
	}
	snapshots := service.NewLog[*positionsv1.PositionSnapshot](bus, c, c.Topic(ampybus.DomainPositions, "snapshots"))
	return snapshots.CatchUp(ctx, func(_ *ampybus.Message, s *positionsv1.PositionSnapshot) error {
		p := l.position(s.GetAccountId(), s.GetSecurity())
		p.asOf = s.GetAsOf().AsTime()
		return nil
	})
}

// apply adds a fill to its position; fresh says that it was not known.
func (l *ledger) apply(ctx context.Context, m *ampybus.Message, f *fillsv1.FillEvent) (p *position, fresh bool, err error) {
	side, err := l.side(ctx, f.GetClientOrderId())
	if err != nil {
		return nil, false, err
	}
	units, err := service.Count(f.GetQuantity())
	if err != nil {
		return nil, false, ampybus.Permanent(err)
	}
	price, err := service.Micros(f.GetPrice())
	if err != nil {
		return nil, false, ampybus.Permanent(err)
	}
	p = l.position(f.GetAccountId(), f.GetSecurity())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.book, fresh = p.book.add(Execution{
		ID: m.Headers.DedupeKey, At: f.GetEventTime().AsTime(), Units: side * units, Price: price,
	})
	return p, fresh, nil
}

// side is 1 or -1. A fill does not say whether it bought or sold; its order
// does, which was stored before it and is therefore in the log.
func (l *ledger) side(ctx context.Context, order string) (int64, error) {
	if s := l.known(order); s != 0 {
		return s, nil
	}
	err := l.orders.CatchUp(ctx, func(_ *ampybus.Message, o *ordersv1.OrderRequest) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.sides[o.GetClientOrderId()] = 1
		if o.GetSide() == commonv1.Side_SIDE_SELL {
			l.sides[o.GetClientOrderId()] = -1
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if s := l.known(order); s != 0 {
		return s, nil
	}
	return 0, fmt.Errorf("fill of an unknown order %s", order)
}

func (l *ledger) known(order string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sides[order]
}

func (l *ledger) position(account string, s *commonv1.SecurityId) *position {
	key := ampybus.PositionKey(account, s.GetSymbol(), s.GetMic())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.positions[key] == nil {
		l.positions[key] = &position{account: account, security: s}
	}
	return l.positions[key]
}

// publish stores a snapshot of all that is known now, unless one with all of it
// is stored: while this fill waited for the lock, the snapshot of another may
// have taken it along. A new instance has stored none, so a fill that its
// predecessor applied gets its snapshot even if that one was killed before.
func (p *position) publish(ctx context.Context, bus *ampybus.Bus, c service.Config, cause *ampybus.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stored == len(p.book) {
		return nil
	}
	asOf := time.Now().UTC().Round(0)
	if !asOf.After(p.asOf) { // the clock stepped back
		asOf = p.asOf.Add(time.Microsecond)
	}
	p.asOf = asOf
	if err := service.Publish(ctx, bus, protopayload.Draft{
		Topic:    c.Topic(ampybus.DomainPositions, "snapshots"),
		Message:  p.book.snapshot(p.account, p.security, asOf),
		Producer: c.Producer(Name), Source: Name,
	}, cause); err != nil {
		return err
	}
	p.stored = len(p.book)
	return nil
}
