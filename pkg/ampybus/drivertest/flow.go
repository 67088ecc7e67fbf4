package drivertest

import (
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func flowPromises() []Promise {
	return []Promise{
		{
			"SlowConsumerIsBounded",
			"No more than MaxSpan records of a lane are delivered and not committed; commits let more come.",
			slowConsumerIsBounded,
		},
		{
			"UnreadEventsHoldNobodyElseBack",
			"A source that nobody receives from delays no publish, no other source of its client, and not its own Close.",
			unreadEventsHoldNobodyElseBack,
		},
		{
			"PauseStopsOneLaneOnly",
			"Pausing a lane stops its records and no other's; resuming goes on where it stopped.",
			pauseStopsOneLaneOnly,
		},
		{
			"PauseEndsWithOwnership",
			"A lane that was paused when its owner lost it delivers when the same member owns it again.",
			pauseEndsWithOwnership,
		},
	}
}

func slowConsumerIsBounded(e *env) {
	const total, span = 50, 10
	tr := e.connect()
	c := group("g", "m", allOrders)
	c.MaxSpan = span
	m := e.join(tr, c)
	e.publish(tr, records(ordersA, "k", 0, total))
	m.takes(span)
	m.never("got more than MaxSpan", e.h.Quiet, func() bool { return len(m.got) > span })
	for committed := 0; committed < total; {
		got := m.takes(committed + 1)
		if n := len(got) - committed; n > span {
			e.Fatalf("%d records are delivered and not committed, MaxSpan is %d", n, span)
		}
		m.commits(got[len(got)-1])
		committed = len(got)
	}
	m.takesValues(names("k", 0, total))
}

func unreadEventsHoldNobodyElseBack(e *env) {
	const total = 500
	tr := e.connect()
	c := group("unread", "m", allOrders)
	c.Lease = e.h.Lease
	src, err := tr.Open(e.ctx(), c)
	if err != nil {
		e.Fatalf("open: %v", err)
	}
	for n := range 10 {
		e.publish(tr, records(ordersA, "k", n*total/10, total/10))
	}
	e.join(tr, group("read", "m", allOrders)).takesValues(names("k", 0, total))
	if got := len(e.history(tr, allOrders)); got != total {
		e.Errorf("a reader beside an unread source has %d records, want %d", got, total)
	}
	if err := src.Close(e.ctx()); err != nil {
		e.Errorf("close a source that nobody reads: %v", err)
	}
	e.join(tr, group("unread", "m", allOrders)).takesValues(names("k", 0, total))
}

func pauseStopsOneLaneOnly(e *env) {
	tr := e.connect()
	m := e.join(tr, group("g", "m", allDev))
	e.publish(tr, records(ordersA, "o", 0, 3))
	e.publish(tr, records(fillsA, "f", 0, 3))
	got := m.takes(6)
	orders := got[slices.IndexFunc(got, func(t taken) bool { return t.Topic == ordersA })].lane
	m.src.Pause(orders, true)
	e.publish(tr, records(ordersA, "o", 3, 3))
	e.publish(tr, records(fillsA, "f", 3, 3))
	m.takes(9)
	ordersGot := func() []string { return ofKey(deliveries(m.got), "o") }
	m.never("got records of a paused lane", e.h.Quiet, func() bool { return len(ordersGot()) > 3 })
	if vs, want := ofKey(deliveries(m.takes(9)), "f"), names("f", 0, 6); !slices.Equal(vs, want) {
		e.Errorf("the other lane brought %v, want %v", vs, want)
	}
	m.src.Pause(orders, false)
	if vs, want := ofKey(deliveries(m.takes(12)), "o"), names("o", 0, 6); !slices.Equal(vs, want) {
		e.Errorf("the resumed lane brought %v, want %v", vs, want)
	}
}

func pauseEndsWithOwnership(e *env) {
	tr := e.connect()
	m := e.join(tr, group("g", "m", allOrders))
	e.publish(tr, records(ordersA, "k", 0, 3))
	m.src.Pause(m.takes(3)[0].lane, true)
	heal := e.broker.Cut(e.T, tr)
	m.sees("the loss of its lane", driver.Lost)
	heal()
	e.publish(e.connect(), records(ordersA, "k", 3, 3))
	m.takesValues(names("k", 0, 6))
}
