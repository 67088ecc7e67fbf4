package main

import (
	"errors"
	"fmt"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"

	"github.com/AmpyFin/ampy-bus/examples/go/monitor"
	"github.com/AmpyFin/ampy-bus/examples/go/oms"
	"github.com/AmpyFin/ampy-bus/examples/go/positions"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// tally is a position as the fills log has it: sums, and no rule of accounting.
type tally struct {
	units, cash, price int64 // held; earned, in millionths; of the last execution
	at                 time.Time
}

// tallies adds up the fills, by position.
func (e *Evidence) tallies() (map[string]tally, error) {
	orders, err := e.orders()
	if err != nil {
		return nil, err
	}
	executions, err := e.executions()
	if err != nil {
		return nil, err
	}
	all := make(map[string]tally)
	for id, f := range executions {
		o, ok := orders[f.GetClientOrderId()]
		if !ok {
			return nil, fmt.Errorf("execution %s is of no order", id)
		}
		units, err := service.Count(f.GetQuantity())
		if err != nil {
			return nil, err
		}
		price, err := service.Micros(f.GetPrice())
		if err != nil {
			return nil, err
		}
		if o.Payload.GetSide() == commonv1.Side_SIDE_SELL {
			units = -units
		}
		key := ampybus.PositionKey(f.GetAccountId(), f.GetSecurity().GetSymbol(), f.GetSecurity().GetMic())
		t := all[key]
		t.units += units
		t.cash -= units * price
		if at := f.GetEventTime().AsTime(); at.After(t.at) {
			t.at, t.price = at, price
		}
		all[key] = t
	}
	return all, nil
}

// positionsEqualTheFills compares quantities, and profit: what was realized and
// what is not must be what was earned and what is held, however cost was
// accounted for in between.
func positionsEqualTheFills(e *Evidence) (string, error) {
	tallies, err := e.tallies()
	if err != nil {
		return "", err
	}
	final := make(map[string]*positionsv1.PositionSnapshot)
	for _, s := range e.Snapshots {
		final[s.Headers.PartitionKey] = s.Payload
	}
	if len(final) != len(tallies) || len(final) == 0 {
		return "", fmt.Errorf("%d positions have snapshots, %d have fills", len(final), len(tallies))
	}
	for key, t := range tallies {
		s := final[key]
		units, err := service.Count(s.GetQuantity())
		realized, err1 := service.Micros(s.GetRealizedPnl().GetAmount())
		unrealized, err2 := service.Micros(s.GetUnrealizedPnl().GetAmount())
		if err := errors.Join(err, err1, err2); err != nil {
			return "", fmt.Errorf("position %s: %w", key, err)
		}
		if units != t.units || realized+unrealized != t.cash+t.units*t.price {
			return "", fmt.Errorf("position %s: the final snapshot has %d units and a profit of %d millionths, the fills come to %d and %d",
				key, units, realized+unrealized, t.units, t.cash+t.units*t.price)
		}
	}
	return fmt.Sprintf("positions  the final snapshots of %d positions equal what the fills in the log come to, in units and in profit", len(final)), nil
}

func snapshotsGrow(e *Evidence) (string, error) {
	last := make(map[string]time.Time)
	for _, s := range unique(e.Snapshots) {
		at := s.Payload.GetAsOf().AsTime()
		if !at.After(last[s.Headers.PartitionKey]) {
			return "", fmt.Errorf("position %s: a snapshot as of %s is stored behind one as of %s",
				s.Headers.PartitionKey, at, last[s.Headers.PartitionKey])
		}
		last[s.Headers.PartitionKey] = at
	}
	return fmt.Sprintf("positions  as_of grows within each key, over %d snapshots of all instances", len(e.Snapshots)), nil
}

func deadLettersAreSettled(e *Evidence) (string, error) {
	for _, d := range e.DeadLetters {
		if d.Settled != "redriven" || d.Target == "" {
			return "", fmt.Errorf("dead letter %s (%s) is not settled", d.Origin(), d.Headers.DLQ.Reason)
		}
	}
	if len(e.DeadLetters) != 1 || e.Redriven[ampybus.DomainBars] != 1 {
		return "", fmt.Errorf("%d dead letters and %d redriven batches, want the one that was poisoned", len(e.DeadLetters), e.Redriven[ampybus.DomainBars])
	}
	return "dlq        the one poisoned batch was dead-lettered once, redriven once, and scored (see signals)", nil
}

// consumersSawEachKeyInOrder rests on what the services report of their own
// consumers: only they can see in which order they were handed messages.
func consumersSawEachKeyInOrder(e *Evidence) (string, error) {
	if n := e.Metrics.Sum(service.MetricInversions, monitor.Labels{}); n != 0 {
		return "", fmt.Errorf("consumers applied %.0f messages behind a later one of the same key", n)
	}
	if n := e.Metrics.Sum(oms.MetricOpenOrders, monitor.Labels{}); n != 0 {
		return "", fmt.Errorf("the OMS believes that %.0f orders are open", n)
	}
	n := e.Metrics.Sum(service.MetricConsumed, monitor.Labels{Result: string(ampybus.ResultOK)})
	return fmt.Sprintf("order      %.0f messages were applied in the log's order of their keys (as services report); no order is open", n), nil
}

// faultsReallyHappened keeps the proof from passing because nothing went wrong.
func faultsReallyHappened(e *Evidence) (string, error) {
	instances := make(map[string]bool)
	for _, s := range e.Snapshots {
		instances[s.Headers.Producer] = true
	}
	late := 0
	last := make(map[string]time.Time)
	for _, f := range unique(e.Fills) {
		at := f.Payload.GetEventTime().AsTime()
		if at.Before(last[f.Headers.PartitionKey]) {
			late++
		}
		last[f.Headers.PartitionKey] = at
	}
	parts := len(unique(e.Fills)) - len(unique(e.Orders))
	dropped := e.duplicates(ampybus.DomainBars) + e.duplicates(ampybus.DomainSignals) +
		e.duplicates(ampybus.DomainOrders) + e.duplicates(ampybus.DomainFills)
	caughtUp := e.Metrics.Sum(service.MetricCatchUp, monitor.Labels{Group: positions.Name})
	known := e.Metrics.Sum(positions.MetricRepeats, monitor.Labels{})
	if len(instances) != 2 || late == 0 || parts == 0 || dropped < 4 || known == 0 {
		return "", fmt.Errorf("the faults did not happen: %d instances of positions, %d late fills, %d partial, %d duplicates, %.0f fills known to positions",
			len(instances), late, parts, dropped, known)
	}
	return fmt.Sprintf("faults     a killed service, whose successor knew %.0f fills from the log and caught up with %.0f; %d fills out of order; %d duplicates dropped", known, caughtUp, late, dropped), nil
}
