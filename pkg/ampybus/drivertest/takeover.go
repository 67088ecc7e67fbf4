package drivertest

import (
	"context"
	"errors"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func takeoverPromises() []Promise {
	return []Promise{
		{
			"CrashKeepsOrder",
			"When an owner dies with records taken and not committed, the next one gets the key from the commit on, in order.",
			crashKeepsOrder,
		},
		{
			"TakeoverWithinLease",
			"The lanes of a killed member go to a waiting one within about the lease.",
			takeoverWithinLease,
		},
		{
			"CloseHandsOverAtOnce",
			"A member that closes hands its lanes over without waiting for the lease.",
			func(e *env) {
				e.handsOverAtOnce(func(m *member) { m.close() })
			},
		},
		{
			"TransportCloseHandsOverAtOnce",
			"Closing the transport hands over the lanes of its members as their own Close does.",
			func(e *env) {
				e.handsOverAtOnce(func(m *member) { _ = m.tr.Close(e.ctx()) })
			},
		},
		{
			"EpochsGrow",
			"Every change of owner has a greater epoch, through closes, crashes and times without any member.",
			epochsGrow,
		},
		{
			"StaleOwnerIsFenced",
			"An owner that was cut off and lost its lane can commit nothing, then or when it is back.",
			staleOwnerIsFenced,
		},
		{
			"CutOwnerIsTold",
			"An owner that is cut off learns by its own clock that its lanes are lost.",
			cutOwnerIsTold,
		},
		{
			"SlowReceiverKeepsItsLanes",
			"A connected owner that receives nothing for longer than the lease stays the owner.",
			slowReceiverKeepsItsLanes,
		},
	}
}

func crashKeepsOrder(e *env) {
	first, second := e.connect(), e.connect()
	c := group("g", "first", allOrders)
	c.MaxSpan = 5
	a := e.join(first, c)
	e.publish(second, records(ordersA, "k", 0, 20))
	a.takes(5)
	b := e.join(second, group("g", "second", allOrders))
	e.crash(first)
	b.takesValues(names("k", 0, 20))
}

// grace is what a takeover may take beyond its lease: two rounds of renewal,
// and a loaded machine.
func (e *env) grace() time.Duration { return e.h.Lease + 5*time.Second }

func takeoverWithinLease(e *env) {
	first, second := e.connect(), e.connect()
	a := e.join(first, group("g", "first", allOrders))
	e.publish(second, records(ordersA, "k", 0, 10))
	a.commits(a.takes(10)[3])
	b := e.join(second, group("g", "second", allOrders))
	e.crash(first)
	died := time.Now()
	b.takesValues(names("k", 4, 6))
	if took := time.Since(died); took > e.h.Lease+e.grace() {
		e.Errorf("takeover took %v with a lease of %v", took, e.h.Lease)
	}
}

// longLease is a lease that no orderly hand-over waits for.
const longLease = time.Minute

func (e *env) handsOverAtOnce(leave func(m *member)) {
	first, second := e.connect(), e.connect()
	c := group("g", "first", allOrders)
	c.Lease = longLease
	a := e.join(first, c)
	e.publish(second, records(ordersA, "k", 0, 10))
	a.commits(a.takes(10)[3])
	c.Member = "second"
	b := e.join(second, c)
	left := time.Now()
	leave(a)
	b.takesValues(names("k", 4, 6))
	if took := time.Since(left); took > longLease/4 {
		e.Errorf("hand-over took %v with a lease of %v", took, longLease)
	}
}

func epochsGrow(e *env) {
	writer := e.connect()
	e.publish(writer, records(ordersA, "k", 0, 5))
	last := uint64(0)
	for range 2 {
		for _, end := range []func(m *member){
			func(m *member) { m.close() },
			func(m *member) { e.crash(m.tr) },
		} {
			m := e.join(e.connect(), group("g", "m", allOrders))
			lane := m.takes(5)[0].lane
			epoch := m.epoch(lane)
			if epoch <= last {
				e.Errorf("lane %s has epoch %d after epoch %d", lane, epoch, last)
			}
			last = epoch
			end(m)
		}
	}
}

func staleOwnerIsFenced(e *env) {
	first, second := e.connect(), e.connect()
	a := e.join(first, group("g", "first", allOrders))
	e.publish(second, records(ordersA, "k", 0, 10))
	got := a.takes(10)
	lane, epoch := got[0].lane, a.epoch(got[0].lane)
	b := e.join(second, group("g", "second", allOrders))
	heal := e.broker.Cut(e.T, first)
	b.commits(b.takesValues(names("k", 0, 10))[4])
	commit := func() error {
		ctx, cancel := context.WithTimeout(e.ctx(), e.grace())
		defer cancel()
		return a.src.Commit(ctx, lane, epoch, got[9].Pos+1)
	}
	if err := commit(); err == nil {
		e.Error("the old owner committed while it was cut off")
	}
	heal()
	if err := commit(); !errors.Is(err, driver.ErrFenced) {
		e.Errorf("the old owner is back and committed with %v, want %v", err, driver.ErrFenced)
	}
	a.sees("the loss of its lane", driver.Lost)
	a.close()
	b.close()
	e.join(second, group("g", "third", allOrders)).takesValues(names("k", 5, 5))
}

func cutOwnerIsTold(e *env) {
	tr := e.connect()
	m := e.join(tr, group("g", "m", allOrders))
	e.publish(tr, records(ordersA, "k", 0, 3))
	m.takes(3)
	heal := e.broker.Cut(e.T, tr)
	m.sees("the loss of its lane", driver.Lost)
	heal()
	m.takesValues(names("k", 0, 3))
}

func slowReceiverKeepsItsLanes(e *env) {
	first, second := e.connect(), e.connect()
	e.publish(second, records(ordersA, "k", 0, 10))
	c := group("g", "first", allOrders)
	c.Lease, c.MaxSpan = e.h.Lease, 3
	src, err := first.Open(e.ctx(), c)
	if err != nil {
		e.Fatalf("open: %v", err)
	}
	held := e.receiveRecords(src)
	b := e.join(second, group("g", "second", allOrders))
	b.never("got records of a lane whose owner lives", 3*e.h.Lease, func() bool { return len(b.got) > 0 })
	last := held.Records[len(held.Records)-1].Pos
	if err := src.Commit(e.ctx(), held.Lane, held.Epoch, last+1); err != nil {
		e.Errorf("the owner could not commit: %v", err)
	}
	if ev := e.receiveRecords(src); ev.Epoch != held.Epoch || ev.Records[0].Pos <= last {
		e.Errorf("the owner went on with %s at epoch %d, want what follows position %d at epoch %d",
			ev.Records[0].Origin(), ev.Epoch, last, held.Epoch)
	}
	if err := src.Close(e.ctx()); err != nil {
		e.Errorf("close: %v", err)
	}
}
