// Package oms is the order management of the example: it turns ACTION signals
// into orders.v1, and follows their executions in fills.v1.
//
// An order's id follows from the decision behind it, so a decision that comes
// twice is one order. What the service knows (positions ordered, orders open)
// it reads from the orders and fills themselves when it starts.
package oms

import (
	"context"
	"errors"

	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"

	"github.com/AmpyFin/ampy-bus/examples/go/ensemble"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

const (
	// Name is the service's name.
	Name = "oms"
	// SignalsGroup is its group on signals.v1.
	SignalsGroup = "oms-signals"
	// FillsGroup is its group on fills.v1.
	FillsGroup = "oms-fills"
	// MetricOpenOrders counts the orders that are not filled completely.
	MetricOpenOrders = "oms.open_orders"

	requests = "requests"
	events   = "events"
)

// Run consumes decisions and fills until ctx ends.
func Run(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	b := newBook(c.Account())
	if err := b.remember(ctx, bus, c); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	following := make(chan error, 1)
	go func() {
		defer stop() // neither half works without the other
		following <- followFills(ctx, bus, c, b)
	}()
	err := followDecisions(ctx, bus, c, b)
	stop()
	return errors.Join(err, <-following)
}

// remember reads what was ordered and filled before this instance started.
func (b *book) remember(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	orders := service.NewLog[*ordersv1.OrderRequest](bus, c, c.Topic(ampybus.DomainOrders, requests))
	if err := orders.CatchUp(ctx, func(_ *ampybus.Message, o *ordersv1.OrderRequest) error {
		return b.ordered(o)
	}); err != nil {
		return err
	}
	fills := service.NewLog[*fillsv1.FillEvent](bus, c, c.Topic(ampybus.DomainFills, events))
	return fills.CatchUp(ctx, func(m *ampybus.Message, f *fillsv1.FillEvent) error {
		return b.filled(m.Headers.DedupeKey, f)
	})
}

func followDecisions(ctx context.Context, bus *ampybus.Bus, c service.Config, b *book) error {
	group := c.Consumer(SignalsGroup, c.Topic(ampybus.DomainSignals, ensemble.ModelID))
	return bus.Consume(ctx, group, service.Decoded(
		func(ctx context.Context, m *ampybus.Message, s *signalsv1.Signal) error {
			if m.Headers.RunID != c.RunID {
				return nil // another session's
			}
			o := b.order(s)
			if o == nil {
				return nil
			}
			// The order enters the book only when it is stored: until then, trying
			// again comes to the same order.
			if err := service.Publish(ctx, bus, protopayload.Draft{
				Topic: c.Topic(ampybus.DomainOrders, requests), Message: o,
				Producer: c.Producer(Name), Source: Name,
			}, m); err != nil {
				return err
			}
			defer func() { c.Meter.Set(MetricOpenOrders, b.openOrders()) }()
			return b.ordered(o)
		}))
}

func followFills(ctx context.Context, bus *ampybus.Bus, c service.Config, b *book) error {
	group := c.Consumer(FillsGroup, c.Topic(ampybus.DomainFills, events))
	return bus.Consume(ctx, group, service.Decoded(
		func(_ context.Context, m *ampybus.Message, f *fillsv1.FillEvent) error {
			defer func() { c.Meter.Set(MetricOpenOrders, b.openOrders()) }()
			return b.filled(m.Headers.DedupeKey, f)
		}))
}
