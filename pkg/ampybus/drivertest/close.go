package drivertest

import (
	"context"
	"errors"
	"time"

	"go.uber.org/goleak"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func closePromises() []Promise {
	return []Promise{
		{
			"CloseIsCleanAndTwice",
			"Closing a client with members, readers and publishes leaves no goroutine behind; closing again does nothing.",
			closeIsCleanAndTwice,
		},
		{
			"CloseSettlesPublishes",
			"What has not settled when a client is closed has settled, as uncertain or not stored, when Close returns.",
			closeSettlesPublishes,
		},
		{
			"SourceCloseEndsEvents",
			"An orderly Close ends a source's events without an error, also when nobody receives them, and may be repeated.",
			sourceCloseEndsEvents,
		},
		{
			"TransportCloseEndsEverything",
			"Closing a client ends the events of its sources, and waiting readers get ErrClosed.",
			transportCloseEndsEverything,
		},
		{
			"ReaderCloseEndsWaiting",
			"Closing a reader ends a Next that waits, with ErrClosed, and may be repeated.",
			readerCloseEndsWaiting,
		},
		{
			"ContextEndsWaiting",
			"A call whose context has ended returns its error, and Next can be called again.",
			contextEndsWaiting,
		},
	}
}

// useAll does once all that starts goroutines on a client, and closes it.
func (e *env) useAll(keyName string) {
	e.Helper()
	tr := e.broker.Connect(e.T)
	e.publish(tr, records(ordersA, keyName, 0, 10))
	m := e.join(tr, group("g", "m", allOrders))
	m.commits(m.takes(10)[9])
	unread, err := tr.Open(e.ctx(), group("unread", "m", allOrders))
	if err != nil {
		e.Fatalf("open: %v", err)
	}
	e.history(tr, allOrders)
	e.reader(tr, driver.ReadConfig{Pattern: allOrders, Follow: true})
	for range 2 {
		if err := tr.Close(e.ctx()); err != nil {
			e.Errorf("close: %v", err)
		}
	}
	m.work.Wait()
	for range unread.Events() {
		continue // ends, since the source has
	}
}

func closeIsCleanAndTwice(e *env) {
	e.useAll("first") // what a broker in this process starts, it starts here
	before := []goleak.Option{goleak.IgnoreCurrent()}
	for _, f := range e.h.BrokerFuncs {
		before = append(before, goleak.IgnoreAnyFunction(f))
	}
	e.useAll("second")
	if err := goleak.Find(before...); err != nil {
		e.Error(err)
	}
}

func closeSettlesPublishes(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "warm", 0, 1))
	restore := e.broker.LoseAcks(e.T, tr)
	var receipts []*receipt
	for k := range failKeys {
		receipts = append(receipts, e.post(tr, records(ordersA, failKey(k), 0, failEach)))
	}
	if err := tr.Close(e.ctx()); err != nil {
		e.Errorf("close: %v", err)
	}
	for _, r := range receipts {
		if n := r.settled(); n != failEach {
			e.Fatalf("Close returned with %d of %d records settled", n, failEach)
		}
	}
	restore()
	held := e.history(e.connect(), allOrders)
	for k, r := range receipts {
		for i, o := range r.all() {
			if o.Err == nil {
				e.Errorf("%s settled as stored where no acknowledgement could arrive", r.recs[i].ID)
			}
		}
		e.outcomesAreTrue(r, ofKey(held, failKey(k)))
	}
}

func sourceCloseEndsEvents(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 100))
	src, err := tr.Open(e.ctx(), group("g", "m", allOrders))
	if err != nil {
		e.Fatalf("open: %v", err)
	}
	last := e.receiveRecords(src)
	if err := src.Err(); err != nil {
		e.Errorf("Err of a running source: %v", err)
	}
	for range 2 {
		if err := src.Close(e.ctx()); err != nil {
			e.Errorf("close: %v", err)
		}
	}
	e.ended(src)
	if err := src.Err(); err != nil {
		e.Errorf("Err after Close: %v", err)
	}
	err = src.Commit(e.ctx(), last.Lane, last.Epoch, last.Records[0].Pos+1)
	if !errors.Is(err, driver.ErrClosed) && !errors.Is(err, driver.ErrFenced) {
		e.Errorf("commit after Close: %v, want %v or %v", err, driver.ErrClosed, driver.ErrFenced)
	}
}

// ended waits until the events of a source have ended.
func (e *env) ended(src driver.Source) {
	e.Helper()
	timer := time.NewTimer(e.h.Patience)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-src.Events():
			if !ok {
				return
			}
		case <-timer.C:
			e.Fatalf("waited %v for a closed source to end its events", e.h.Patience)
		}
	}
}

// waiting runs Next in the background, on a reader that has nothing.
func (e *env) waiting(ctx context.Context, r driver.Reader) <-chan error {
	got := make(chan error, 1)
	go func() {
		_, err := r.Next(ctx)
		got <- err
	}()
	return got
}

// endsWith expects what a call in the background returns.
func (e *env) endsWith(got <-chan error, want error, what string) {
	e.Helper()
	timer := time.NewTimer(e.h.Patience)
	defer timer.Stop()
	select {
	case err := <-got:
		if !errors.Is(err, want) {
			e.Errorf("%s returned %v, want %v", what, err, want)
		}
	case <-timer.C:
		e.Fatalf("%s did not return in %v", what, e.h.Patience)
	}
}

func transportCloseEndsEverything(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 3))
	src, err := tr.Open(e.ctx(), group("g", "m", allOrders))
	if err != nil {
		e.Fatalf("open: %v", err)
	}
	next := e.waiting(e.ctx(), e.reader(tr, driver.ReadConfig{Pattern: allOrders, New: true}))
	if err := tr.Close(e.ctx()); err != nil {
		e.Errorf("close: %v", err)
	}
	e.ended(src)
	e.endsWith(next, driver.ErrClosed, "Next on a closed client")
}

func readerCloseEndsWaiting(e *env) {
	tr := e.connect()
	r := e.reader(tr, driver.ReadConfig{Pattern: allOrders, New: true})
	next := e.waiting(e.ctx(), r)
	for range 2 {
		if err := r.Close(); err != nil {
			e.Errorf("close: %v", err)
		}
	}
	e.endsWith(next, driver.ErrClosed, "Next on a closed reader")
}

func contextEndsWaiting(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 3))
	ctx, cancel := context.WithCancel(e.ctx())
	r := e.reader(tr, driver.ReadConfig{Pattern: allOrders, New: true})
	next := e.waiting(ctx, r)
	cancel()
	e.endsWith(next, context.Canceled, "Next")
	e.publish(tr, records(ordersA, "k", 3, 1))
	if got := values(e.reads(r, 1)); got[0] != "k-3" {
		e.Errorf("after a Next that ended with its context came %v", got)
	}
	if _, err := tr.Open(ctx, group("g", "m", allOrders)); !errors.Is(err, context.Canceled) {
		e.Errorf("Open with an ended context: %v", err)
	}
	if _, err := tr.Read(ctx, driver.ReadConfig{Pattern: allOrders}); !errors.Is(err, context.Canceled) {
		e.Errorf("Read with an ended context: %v", err)
	}
	if _, err := tr.Lanes(ctx, "", allOrders); !errors.Is(err, context.Canceled) {
		e.Errorf("Lanes with an ended context: %v", err)
	}
}
