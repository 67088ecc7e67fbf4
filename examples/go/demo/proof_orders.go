package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"

	"github.com/AmpyFin/ampy-bus/examples/go/ensemble"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
)

// orders are the orders by their id, each once.
func (e *Evidence) orders() (map[string]Stored[*ordersv1.OrderRequest], error) {
	all := make(map[string]Stored[*ordersv1.OrderRequest])
	for _, o := range e.Orders {
		id := o.Payload.GetClientOrderId()
		first, known := all[id]
		switch {
		case !known:
			all[id] = o
		case first.Headers.MessageID != o.Headers.MessageID || !bytes.Equal(first.Message.Payload, o.Message.Payload):
			return nil, fmt.Errorf("order %s is on the bus as two different messages", id)
		}
	}
	return all, nil
}

func everyOrderHasItsDecision(e *Evidence) (string, error) {
	decisions := make(map[onDay]Stored[*signalsv1.Signal])
	for _, s := range unique(e.Signals) {
		if s.Payload.GetModelId() == ensemble.ModelID {
			decisions[dayOf(s.Payload.GetSecurity(), s.Payload.GetGeneratedAt())] = s
		}
	}
	orders, err := e.orders()
	if err != nil {
		return "", err
	}
	last := make(map[string]time.Time)
	for _, o := range byTime(unique(e.Orders)) {
		key := dayOf(o.Payload.GetSecurity(), o.Payload.GetCreatedAt())
		d, ok := decisions[key]
		if !ok || d.Payload.GetAction() == commonv1.ActionType_ACTION_TYPE_HOLD || d.StoredAt.After(o.StoredAt) {
			return "", fmt.Errorf("order %s does not follow from a decision", o.Payload.GetClientOrderId())
		}
		at := o.Payload.GetCreatedAt().AsTime()
		if !at.After(last[key.security]) {
			return "", fmt.Errorf("order %s is stored behind a later one of its security", o.Payload.GetClientOrderId())
		}
		last[key.security] = at
	}
	return fmt.Sprintf("orders     %d orders, each under one id, stored behind its decision and in its order", len(orders)), nil
}

// byTime are the orders as they were stored. They lie in several logs where a
// broker parts them by key; what was stored in one tick of its clock has no
// order then, and gets that of creation.
func byTime(orders []Stored[*ordersv1.OrderRequest]) []Stored[*ordersv1.OrderRequest] {
	slices.SortStableFunc(orders, func(a, b Stored[*ordersv1.OrderRequest]) int {
		return cmp.Or(a.StoredAt.Compare(b.StoredAt),
			a.Payload.GetCreatedAt().AsTime().Compare(b.Payload.GetCreatedAt().AsTime()))
	})
	return orders
}

// executions are the fills by their execution id, each once.
func (e *Evidence) executions() (map[string]*fillsv1.FillEvent, error) {
	all := make(map[string]*fillsv1.FillEvent)
	from := make(map[string]Stored[*fillsv1.FillEvent])
	for _, f := range e.Fills {
		id := f.Headers.DedupeKey
		first, known := from[id]
		if known && (first.Headers.MessageID != f.Headers.MessageID || !bytes.Equal(first.Message.Payload, f.Message.Payload)) {
			return nil, fmt.Errorf("execution %s is on the bus as two different messages", id)
		}
		from[id], all[id] = f, f.Payload
	}
	return all, nil
}

func everyOrderIsFilled(e *Evidence) (string, error) {
	orders, err := e.orders()
	if err != nil {
		return "", err
	}
	executions, err := e.executions()
	if err != nil {
		return "", err
	}
	filled := make(map[string]int64)
	for _, f := range executions {
		units, err := service.Count(f.GetQuantity())
		if err != nil {
			return "", err
		}
		filled[f.GetClientOrderId()] += units
	}
	for id, o := range orders {
		units, err := service.Count(o.Payload.GetQuantity())
		if err != nil {
			return "", err
		}
		if filled[id] != units {
			return "", fmt.Errorf("order %s: %d ordered, %d filled", id, units, filled[id])
		}
	}
	return fmt.Sprintf("fills      each order is filled completely and not beyond: %d executions of %d orders", len(executions), len(orders)), nil
}

func fillsFollowTheirOrders(e *Evidence) (string, error) {
	orders, err := e.orders()
	if err != nil {
		return "", err
	}
	for _, f := range e.Fills {
		o, ok := orders[f.Payload.GetClientOrderId()]
		if !ok || f.StoredAt.Before(o.StoredAt) {
			return "", fmt.Errorf("fill %s has no order before it", f.Headers.DedupeKey)
		}
	}
	return fmt.Sprintf("fills      each of %d records is stored behind its order", len(e.Fills)), nil
}
