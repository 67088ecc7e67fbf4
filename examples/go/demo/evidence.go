package main

import (
	"context"
	"fmt"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/examples/go/bars"
	"github.com/AmpyFin/ampy-bus/examples/go/monitor"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Evidence is what the broker holds when all is over, read back from its logs,
// and the bars that went in.
type Evidence struct {
	Weeks     []bars.Week
	Bars      []Stored[*barsv1.BarBatch]
	Signals   []Stored[*signalsv1.Signal]
	Orders    []Stored[*ordersv1.OrderRequest]
	Fills     []Stored[*fillsv1.FillEvent]
	Snapshots []Stored[*positionsv1.PositionSnapshot]
	// DeadLetters are all, settled or not.
	DeadLetters []*ampybus.DeadLetter
	// Records counts what is stored for each domain, Redriven what of it was
	// sent back from the dead letters.
	Records, Redriven map[string]int
	// Metrics are what the services reported.
	Metrics *monitor.Dashboard
}

// Stored is a record with its payload.
type Stored[T proto.Message] struct {
	*ampybus.Message
	Payload T
}

// gather reads the logs of the session.
func (s *Session) gather(ctx context.Context) (*Evidence, error) {
	e := &Evidence{
		Weeks:   s.Weeks,
		Records: make(map[string]int), Redriven: make(map[string]int),
		Metrics: monitor.New(),
	}
	err := read(ctx, s, e, ampybus.DomainBars, &e.Bars)
	if err == nil {
		err = read(ctx, s, e, ampybus.DomainSignals, &e.Signals)
	}
	if err == nil {
		err = read(ctx, s, e, ampybus.DomainOrders, &e.Orders)
	}
	if err == nil {
		err = read(ctx, s, e, ampybus.DomainFills, &e.Fills)
	}
	if err == nil {
		err = read(ctx, s, e, ampybus.DomainPositions, &e.Snapshots)
	}
	if err == nil {
		e.Records[ampybus.DomainMetrics], err = e.Metrics.Load(ctx, s.bus, s.Config)
	}
	if err != nil {
		return nil, err
	}
	r := ampybus.Range{Pattern: s.Config.Topic(ampybus.DomainDLQ, ">"), Start: s.Config.Since}
	for d, err := range s.bus.AllDeadLetters(ctx, r) {
		if err != nil {
			return nil, fmt.Errorf("read dead letters: %w", err)
		}
		if d.Headers.RunID == s.Config.RunID {
			e.DeadLetters = append(e.DeadLetters, d)
			e.Records[ampybus.DomainDLQ]++
		}
	}
	return e, nil
}

// read appends the session's records of a domain. What cannot be read is
// counted and left out: the dead letters say what became of it.
func read[T proto.Message](ctx context.Context, s *Session, e *Evidence, domain string, into *[]Stored[T]) error {
	r := ampybus.Range{Pattern: s.Config.Topic(domain, ">"), Start: s.Config.Since}
	for m, err := range s.bus.Read(ctx, r) {
		if err != nil {
			return fmt.Errorf("read %s: %w", domain, err)
		}
		if m.Headers.RunID != s.Config.RunID {
			continue
		}
		e.Records[domain]++
		if m.Headers.RetryCount > 0 {
			e.Redriven[domain]++
		}
		if p, err := service.Decode[T](m); err == nil {
			*into = append(*into, Stored[T]{m, p})
		}
	}
	return nil
}

// unique leaves out later copies of a message.
func unique[T proto.Message](all []Stored[T]) []Stored[T] {
	seen := make(map[string]bool, len(all))
	var first []Stored[T]
	for _, x := range all {
		if !seen[x.Headers.MessageID] {
			seen[x.Headers.MessageID] = true
			first = append(first, x)
		}
	}
	return first
}
