package drivertest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func failurePromises() []Promise {
	return []Promise{
		{
			"FailedMeansNotStored",
			"When a client is cut off while it publishes, what settles as failed is not stored, then or later, and what settles as stored is.",
			func(e *env) {
				e.failedMeansNotStored(func(tr driver.Transport) func() { return e.broker.Cut(e.T, tr) })
			},
		},
		{
			"FailedMeansNotStoredInAnOutage",
			"The same holds when the broker goes away and comes back.",
			func(e *env) {
				e.failedMeansNotStored(func(driver.Transport) func() { return e.broker.Outage(e.T) })
			},
		},
		{
			"RepeatAfterUncertainStoresOneCopy",
			"Records whose acknowledgement was lost settle as uncertain, and repeating them stores no second copy.",
			repeatAfterUncertainStoresOneCopy,
		},
		{
			"NothingFollowsAnUncertainRecord",
			"After an uncertain record the later ones of the call settle as uncertain, or as unavailable and are not stored.",
			nothingFollowsAnUncertainRecord,
		},
	}
}

const (
	failKeys = 8
	failEach = 4
)

// failedMeansNotStored publishes on many keys while a fault is on, and compares
// what the outcomes said with what is held afterwards; then it repeats what was
// not stored, as a caller does, and expects one copy of each, in order.
func (e *env) failedMeansNotStored(fault func(driver.Transport) (restore func())) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "warm", 0, 1))
	restore := fault(tr)
	receipts := make([]*receipt, failKeys)
	for k := range receipts {
		receipts[k] = e.post(tr, records(ordersA, failKey(k), 0, failEach))
	}
	failed := 0
	for _, r := range receipts {
		for _, o := range e.outcomesOf(r) {
			if o.Err != nil {
				failed++
			}
		}
	}
	restore()
	if failed == 0 {
		e.Fatal("the fault stopped no record: the test shows nothing")
	}
	// What was under way has arrived when a later record of the same client has.
	e.persist(tr, records(ordersA, "fence", 0, 1))
	held := e.history(tr, allOrders)
	for k, r := range receipts {
		e.outcomesAreTrue(r, ofKey(held, failKey(k)))
	}
	for k := range receipts {
		e.persist(tr, records(ordersA, failKey(k), 0, failEach))
	}
	held = e.history(tr, allOrders)
	for k := range receipts {
		if got, want := ofKey(held, failKey(k)), names(failKey(k), 0, failEach); !slices.Equal(got, want) {
			e.Errorf("after repeating, key %s is held as %v, want %v", failKey(k), got, want)
		}
	}
}

func failKey(k int) string { return fmt.Sprintf("k%d", k) }

// outcomesAreTrue compares the outcomes of a call with what is held of its key.
func (e *env) outcomesAreTrue(r *receipt, held []string) {
	e.Helper()
	failed := false
	for i, o := range r.all() {
		v := string(r.recs[i].Value)
		stored := slices.Contains(held, v)
		uncertain := errors.Is(o.Err, driver.ErrUncertain)
		switch {
		case o.Err == nil && !stored:
			e.Errorf("%s settled as stored and is not held", v)
		case o.Err == nil && failed:
			e.Errorf("%s settled as stored after a failure in its call", v)
		case o.Err != nil && !uncertain && stored:
			e.Errorf("%s settled with %v and is stored", v, o.Err)
		}
		failed = failed || o.Err != nil
	}
}

func repeatAfterUncertainStoresOneCopy(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "warm", 0, 1))
	restore := e.broker.LoseAcks(e.T, tr)
	receipts := make([]*receipt, failKeys)
	for k := range receipts {
		receipts[k] = e.post(tr, records(ordersA, failKey(k), 0, 1))
	}
	for k, r := range receipts {
		if o := e.outcomesOf(r)[0]; !errors.Is(o.Err, driver.ErrUncertain) {
			e.Errorf("key k%d settled with %v where the acknowledgement was lost, want %v", k, o.Err, driver.ErrUncertain)
		}
	}
	restore()
	for k := range receipts {
		e.persist(tr, records(ordersA, failKey(k), 0, failEach))
	}
	held := e.history(tr, allOrders)
	for k := range receipts {
		if got, want := ofKey(held, failKey(k)), names(failKey(k), 0, failEach); !slices.Equal(got, want) {
			e.Errorf("key %s is held as %v, want %v", failKey(k), got, want)
		}
	}
}

func nothingFollowsAnUncertainRecord(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "warm", 0, 1))
	restore := e.broker.LoseAcks(e.T, tr)
	r := e.post(tr, records(ordersA, "k", 0, 5))
	out := e.outcomesOf(r)
	restore()
	if !errors.Is(out[0].Err, driver.ErrUncertain) {
		e.Fatalf("the first record settled with %v, want %v", out[0].Err, driver.ErrUncertain)
	}
	for i, o := range out[1:] {
		if !errors.Is(o.Err, driver.ErrUncertain) && !errors.Is(o.Err, driver.ErrUnavailable) {
			e.Errorf("record %d settled with %v", i+1, o.Err)
		}
	}
	e.persist(tr, records(ordersA, "fence", 0, 1))
	e.outcomesAreTrue(r, ofKey(e.history(tr, allOrders), "k"))
}
