package drivertest

import (
	"context"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func outagePromises() []Promise {
	return []Promise{
		{
			"AcknowledgedIsNeverLost",
			"What settled as stored is held after the publisher died and the broker came back, and is still known as a duplicate.",
			acknowledgedIsNeverLost,
		},
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

func acknowledgedIsNeverLost(e *env) {
	const total = 200
	writer, tr := e.connect(), e.connect()
	recs := records(ordersA, "k", 0, total)
	e.publish(writer, recs)
	e.crash(writer)
	e.broker.Outage(e.T)()
	e.persist(tr, records(fillsA, "fence", 0, 1)) // the broker is back
	for i, o := range e.publish(tr, recs) {
		if !o.Duplicate {
			e.Errorf("%s was stored a second time, or not reported as a duplicate", recs[i].ID)
		}
	}
	if got, want := values(e.history(tr, allOrders)), names("k", 0, total); !slices.Equal(got, want) {
		e.Errorf("%d of %d acknowledged records are held: %v", len(got), total, got)
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
	next := e.waits(r)
	restore()
	e.persist(tr, records(ordersA, "k", 5, 5))
	got = append(got, next()...)
	got = append(got, e.reads(r, 10-len(got))...)
	if vs, want := values(got), names("k", 0, 10); !slices.Equal(vs, want) {
		e.Errorf("read %v, want %v", vs, want)
	}
}
