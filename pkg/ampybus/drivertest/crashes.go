package drivertest

import (
	"context"
	"errors"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func crashPromises() []Promise {
	return []Promise{
		{
			"CrashesWithoutProgressAreCounted",
			"An owner learns how many before it died in a row without progress, and which record the last one was handling.",
			crashesAreCounted,
		},
		{
			"ProgressEndsTheCount",
			"A commit that moves the lane, and an orderly close, make an owner's successor begin with a clean count.",
			progressEndsTheCount,
		},
		{
			"StaleOwnerMarksNothing",
			"An owner that lost its lane cannot mark a record as being handled.",
			staleOwnerMarksNothing,
		},
	}
}

func crashesAreCounted(e *env) {
	watcher := e.connect()
	e.publish(watcher, records(ordersA, "k", 0, 5))
	for died := range 3 {
		tr := e.connect()
		m := e.join(tr, group("g", "doomed", allOrders))
		got := m.takes(1)[0]
		ev := m.sees("its lane", driver.Assigned)
		if ev.Crashes != died {
			e.Errorf("owner %d learns of %d crashes", died, ev.Crashes)
		}
		if died > 0 && ev.Started != got.Pos+1 {
			e.Errorf("owner %d learns that what lies below %d was being handled, want %d", died, ev.Started, got.Pos+1)
		}
		if err := m.src.Mark(e.ctx(), ev.Lane, ev.Epoch, got.Pos+1); err != nil {
			e.Fatalf("mark: %v", err)
		}
		e.crash(tr)
	}
}

func progressEndsTheCount(e *env) {
	first, second, third := e.connect(), e.connect(), e.connect()
	e.publish(third, records(ordersA, "k", 0, 5))
	a := e.join(first, group("g", "first", allOrders))
	ev := a.sees("its lane", driver.Assigned)
	got := a.takes(2)
	if err := a.src.Mark(e.ctx(), ev.Lane, ev.Epoch, got[0].Pos+1); err != nil {
		e.Fatalf("mark: %v", err)
	}
	a.commits(got[0])
	e.crash(first)
	b := e.join(second, group("g", "second", allOrders))
	if ev := b.sees("its lane", driver.Assigned); ev.Crashes != 1 || ev.Started != 0 {
		e.Errorf("after progress and one crash: %d crashes, %d being handled", ev.Crashes, ev.Started)
	}
	b.close()
	c := e.join(third, group("g", "third", allOrders))
	if ev := c.sees("its lane", driver.Assigned); ev.Crashes != 0 || ev.Started != 0 {
		e.Errorf("after an orderly close: %d crashes, %d being handled", ev.Crashes, ev.Started)
	}
}

func staleOwnerMarksNothing(e *env) {
	first, second := e.connect(), e.connect()
	a := e.join(first, group("g", "first", allOrders))
	e.publish(second, records(ordersA, "k", 0, 5))
	ev := a.sees("its lane", driver.Assigned)
	got := a.takes(1)[0]
	heal := e.broker.Cut(e.T, first)
	b := e.join(second, group("g", "second", allOrders))
	b.takes(5)
	heal()
	ctx, cancel := context.WithTimeout(e.ctx(), e.h.Patience)
	defer cancel()
	if err := a.src.Mark(ctx, ev.Lane, ev.Epoch, got.Pos+1); !errors.Is(err, driver.ErrFenced) {
		e.Errorf("a stale owner's mark: %v, want fenced", err)
	}
}
