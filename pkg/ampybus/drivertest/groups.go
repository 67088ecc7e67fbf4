package drivertest

import (
	"context"
	"fmt"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func groupPromises() []Promise {
	return []Promise{
		{
			"GroupGetsEverythingStoredBefore",
			"A new group gets every record held on its topics, each key in order.",
			groupGetsEverythingStoredBefore,
		},
		{
			"GroupGetsWhatIsStoredLater",
			"An open group gets what other clients store later, in order.",
			groupGetsWhatIsStoredLater,
		},
		{
			"GroupsAreIndependent",
			"Each group gets every record, and commits of one move nothing of another.",
			groupsAreIndependent,
		},
		{
			"StartNewSkipsHistory",
			"A new group that starts new gets nothing stored before it was opened, and everything after.",
			startNewSkipsHistory,
		},
		{
			"StartNewCoversLaterLogs",
			"A group that started new gets all of a log that was created after it was opened.",
			startNewCoversLaterLogs,
		},
		{
			"StartHoldsFromTheFirstOpen",
			"Where a group begins is settled when it is first opened: what is stored while no member is there is delivered later, whatever start the next member asks for.",
			startHoldsFromTheFirstOpen,
		},
		{
			"StartAtTime",
			"A new group that starts at a time begins with the first record stored at it or later.",
			startAtTime,
		},
		{
			"OpenContextBoundsOnlyOpening",
			"A source lives on when the context that opened it ends.",
			openContextBoundsOnlyOpening,
		},
	}
}

func groupGetsEverythingStoredBefore(e *env) {
	tr := e.connect()
	const keys, each = 10, 30
	topics := []string{ordersA, ordersB, fillsA}
	for k := range keys {
		e.publish(tr, records(topics[k%len(topics)], fmt.Sprintf("k%d", k), 0, each))
	}
	m := e.join(tr, group("g", "m", allDev))
	got := m.takes(keys * each)
	for k := range keys {
		key := fmt.Sprintf("k%d", k)
		if vs, want := ofKey(deliveries(got), key), names(key, 0, each); !slices.Equal(vs, want) {
			e.Errorf("key %s came as %v, want %v", key, vs, want)
		}
	}
	for _, t := range got {
		if t.Deliveries > 1 || t.Deliveries < 0 {
			e.Errorf("%s has %d deliveries at its first", t.Value, t.Deliveries)
		}
	}
}

func groupGetsWhatIsStoredLater(e *env) {
	m := e.join(e.connect(), group("g", "m", allOrders))
	writer := e.connect()
	for n := range 20 {
		e.publish(writer, records(ordersA, "k", n*5, 5))
	}
	m.takesValues(names("k", 0, 100))
}

func groupsAreIndependent(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 10))
	first := e.join(tr, group("first", "m", allOrders))
	second := e.join(tr, group("second", "m", allOrders))
	second.commits(second.takesValues(names("k", 0, 10))[2])
	first.commits(first.takesValues(names("k", 0, 10))[9])
	first.close()
	second.close()
	e.publish(tr, records(ordersA, "k", 10, 1))
	e.join(tr, group("first", "m", allOrders)).takesValues(names("k", 10, 1))
	e.join(tr, group("second", "m", allOrders)).takesValues(names("k", 3, 8))
}

func startNewSkipsHistory(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 10))
	c := group("g", "m", allOrders)
	c.StartNew = true
	m := e.join(tr, c)
	e.publish(tr, records(ordersA, "k", 10, 5))
	m.takesValues(names("k", 10, 5))
}

func startNewCoversLaterLogs(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 3))
	c := group("g", "m", allDev)
	c.StartNew = true
	m := e.join(tr, c)
	e.publish(e.connect(), records(fillsA, "f", 0, 5))
	m.takesValues(names("f", 0, 5))
}

func startHoldsFromTheFirstOpen(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 5))
	c := group("g", "m", allOrders)
	c.StartNew = true
	m := e.join(tr, c)
	// The group is there when it has its first record.
	e.publish(tr, records(ordersA, "k", 5, 1))
	m.takesValues(names("k", 5, 1))
	m.close()
	e.publish(tr, records(ordersA, "k", 6, 4))
	e.join(tr, c).takesValues(names("k", 5, 5))
}

func startAtTime(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 20))
	held := e.history(tr, allOrders)
	c := group("g", "m", allOrders)
	c.Start = held[10].StoredAt
	first := slices.IndexFunc(held, func(d driver.Delivery) bool { return !d.StoredAt.Before(c.Start) })
	e.join(tr, c).takesValues(names("k", first, 20-first))
}

func openContextBoundsOnlyOpening(e *env) {
	tr := e.connect()
	ctx, cancel := context.WithCancel(e.ctx())
	m := e.joinIn(ctx, tr, group("g", "m", allOrders))
	e.publish(tr, records(ordersA, "k", 0, 1))
	m.takes(1)
	cancel()
	m.never("its source ended with the context that opened it", e.h.Quiet, func() bool { return m.ended })
	e.publish(tr, records(ordersA, "k", 1, 3))
	m.commits(m.takesValues(names("k", 0, 4))[3])
}
