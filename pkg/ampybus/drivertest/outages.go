package drivertest

import (
	"context"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func outagePromises() []Promise {
	return []Promise{
		{
			"SourceOutlivesAnOutage",
			"A source reports an outage as Trouble, goes on by itself when the broker is back, and loses and reorders nothing.",
			func(e *env) {
				e.sourceOutlives(func(driver.Transport) func() { return e.broker.Outage(e.T) })
			},
		},
		{
			"SourceOutlivesACut",
			"The same holds for a client that was cut off.",
			func(e *env) {
				e.sourceOutlives(func(tr driver.Transport) func() { return e.broker.Cut(e.T, tr) })
			},
		},
		{
			"CommitInTroubleClaimsNothing",
			"A commit that cannot reach the broker waits until its context ends, and then fails.",
			commitInTroubleClaimsNothing,
		},
		{
			"ReaderOutlivesAnOutage",
			"A reader that follows goes on by itself after an outage, without loss or repetition.",
			readerOutlivesAnOutage,
		},
	}
}

func (e *env) sourceOutlives(fault func(driver.Transport) (restore func())) {
	tr := e.connect()
	m := e.join(tr, group("g", "m", allOrders))
	e.publish(tr, records(ordersA, "k", 0, 10))
	m.commits(m.takes(10)[4])
	restore := fault(tr)
	m.sees("the outage", driver.Trouble)
	restore()
	e.persist(tr, records(ordersA, "k", 10, 10))
	m.commits(m.takesValues(names("k", 0, 20))[19])
}

func commitInTroubleClaimsNothing(e *env) {
	tr := e.connect()
	m := e.join(tr, group("g", "m", allOrders))
	e.publish(tr, records(ordersA, "k", 0, 10))
	got := m.takes(10)
	m.commits(got[2])
	heal := e.broker.Cut(e.T, tr)
	ctx, cancel := context.WithTimeout(e.ctx(), e.h.Quiet)
	defer cancel()
	err := m.src.Commit(ctx, got[9].lane, m.epoch(got[9].lane), got[9].Pos+1)
	heal()
	if err == nil {
		e.Fatal("a commit of a client that was cut off succeeded")
	}
}

func readerOutlivesAnOutage(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 5))
	r := e.reader(tr, driver.ReadConfig{Pattern: allOrders, Follow: true})
	got := e.reads(r, 5)
	restore := e.broker.Outage(e.T)
	restore()
	e.persist(tr, records(ordersA, "k", 5, 5))
	got = append(got, e.reads(r, 5)...)
	if vs, want := values(got), names("k", 0, 10); !slices.Equal(vs, want) {
		e.Errorf("read %v, want %v", vs, want)
	}
}
