package drivertest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func publishPromises() []Promise {
	return []Promise{
		{
			"PublishSettlesEveryRecordOnce",
			"Publish calls settle exactly once for each record, in rising order.",
			publishSettlesEveryRecordOnce,
		},
		{
			"PublishKeepsOrderPerKey",
			"Records of one key that one client publishes are stored in the order of its calls, across the topics of a log too.",
			publishKeepsOrderPerKey,
		},
		{
			"PublishDoesNotWait",
			"Publish returns without waiting for the broker.",
			publishDoesNotWait,
		},
		{
			"RepeatedPublishStoresOneCopy",
			"A record published again with the same ID settles as stored and as a duplicate, and the log holds one copy.",
			repeatedPublishStoresOneCopy,
		},
		{
			"RepeatStoresWhatWasMissing",
			"A repeated call of which a part was stored before stores the rest, in order.",
			repeatStoresWhatWasMissing,
		},
		{
			"RepeatAmongNewRecordsStoresOneCopy",
			"A call that repeats records between new ones stores each once, in order of first storing.",
			repeatAmongNewRecordsStoresOneCopy,
		},
		{
			"DedupeIsPerLog",
			"The same ID on another log is another record.",
			dedupeIsPerLog,
		},
		{
			"NoIDMeansNoDedupe",
			"Records without an ID are stored as often as they are published.",
			noIDMeansNoDedupe,
		},
		{
			"PositionsGrow",
			"Positions of a log grow from record to record, and are those that Publish reported.",
			positionsGrow,
		},
	}
}

func publishSettlesEveryRecordOnce(e *env) {
	tr := e.connect()
	const keys, each = 20, 50
	receipts := make([]*receipt, keys)
	for k := range receipts {
		receipts[k] = e.post(tr, records(ordersA, fmt.Sprintf("k%d", k), 0, each))
	}
	tr.Publish(nil, func(i int, o driver.Outcome) { e.Errorf("record %d of none settled with %+v", i, o) })
	for _, r := range receipts {
		for i, o := range e.outcomesOf(r) {
			if o.Err != nil || o.Duplicate {
				e.Fatalf("%s settled with %+v, want stored and no duplicate", r.recs[i].ID, o)
			}
		}
	}
	if got := len(e.history(tr, allOrders)); got != keys*each {
		e.Fatalf("%d records are held, want %d", got, keys*each)
	}
}

func publishKeepsOrderPerKey(e *env) {
	tr := e.connect()
	const keys, calls, each = 10, 12, 5
	var writers sync.WaitGroup
	for k := range keys {
		writers.Go(func() {
			topics := []string{ordersA, ordersB}
			for c := range calls {
				recs := records(topics[c%2], fmt.Sprintf("k%d", k), c*each, each)
				r := e.post(tr, recs)
				if !e.within(e.h.Patience, r.done) {
					e.Errorf("key k%d: waited %v for a publish to settle", k, e.h.Patience)
					return
				}
			}
		})
	}
	writers.Wait()
	held := e.history(tr, allOrders)
	for k := range keys {
		key := fmt.Sprintf("k%d", k)
		if got, want := ofKey(held, key), names(key, 0, calls*each); !slices.Equal(got, want) {
			e.Fatalf("key %s is stored as %v, want %v", key, got, want)
		}
	}
}

func publishDoesNotWait(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "warm", 0, 1))
	defer e.broker.LoseAcks(e.T, tr)()
	returned := make(chan *receipt, 1)
	go func() { returned <- e.post(tr, records(ordersA, "k", 0, 3)) }()
	r := <-returned
	if n := r.settled(); n != 0 {
		e.Fatalf("Publish returned with %d records settled while no answer could arrive", n)
	}
}

func repeatedPublishStoresOneCopy(e *env) {
	first, second := e.connect(), e.connect()
	recs := records(ordersA, "k", 0, 5)
	e.publish(first, recs)
	stored := e.history(first, allOrders)
	// A second client repeats what the first one sent before it died.
	for _, tr := range []driver.Transport{first, second, first} {
		for i, o := range e.publish(tr, recs) {
			if !o.Duplicate {
				e.Fatalf("%s was stored a second time, or not reported as a duplicate", recs[i].ID)
			}
			if o.Pos != 0 && o.Pos != stored[i].Pos {
				e.Fatalf("%s: the duplicate is said to be at %d, the record is at %d", recs[i].ID, o.Pos, stored[i].Pos)
			}
		}
	}
	if got, want := values(e.history(first, allOrders)), names("k", 0, 5); !slices.Equal(got, want) {
		e.Fatalf("held: %v, want %v", got, want)
	}
}

func repeatStoresWhatWasMissing(e *env) {
	tr := e.connect()
	recs := records(ordersA, "k", 0, 10)
	e.publish(tr, recs[:4])
	for i, o := range e.publish(tr, recs) {
		if o.Duplicate != (i < 4) {
			e.Errorf("record %d: duplicate is %v", i, o.Duplicate)
		}
	}
	if got, want := values(e.history(tr, allOrders)), names("k", 0, 10); !slices.Equal(got, want) {
		e.Fatalf("held: %v, want %v", got, want)
	}
}

func repeatAmongNewRecordsStoresOneCopy(e *env) {
	tr := e.connect()
	all := records(ordersA, "k", 0, 30)
	e.publish(tr, all[10:15])
	e.publish(tr, all[25:])
	e.publish(tr, all)
	e.publish(tr, all[:20])
	want := slices.Concat(names("k", 10, 5), names("k", 25, 5), names("k", 0, 10), names("k", 15, 10))
	if got := values(e.history(tr, allOrders)); !slices.Equal(got, want) {
		e.Fatalf("held: %v, want %v", got, want)
	}
}

func dedupeIsPerLog(e *env) {
	tr := e.connect()
	order, fill := records(ordersA, "k", 0, 1), records(fillsA, "k", 0, 1)
	e.publish(tr, order)
	if o := e.publish(tr, fill)[0]; o.Duplicate {
		e.Error("a record of another log was taken for a duplicate")
	}
	if got := len(e.history(tr, allDev)); got != 2 {
		e.Fatalf("%d records are held, want one on each log", got)
	}
}

func noIDMeansNoDedupe(e *env) {
	tr := e.connect()
	recs := records(ordersA, "k", 0, 1)
	recs[0].ID = ""
	for range 3 {
		if o := e.publish(tr, recs)[0]; o.Duplicate {
			e.Error("a record without an ID was taken for a duplicate")
		}
	}
	if got := len(e.history(tr, allOrders)); got != 3 {
		e.Fatalf("%d records are held, want 3", got)
	}
}

func positionsGrow(e *env) {
	tr := e.connect()
	recs := records(ordersA, "k", 0, 50)
	var said []driver.Outcome
	for i := range recs {
		said = append(said, e.publish(tr, recs[i:i+1])...)
	}
	held := e.history(tr, allOrders)
	if len(held) != len(recs) {
		e.Fatalf("%d records are held, want %d", len(held), len(recs))
	}
	for i, d := range held {
		if i > 0 && d.Pos <= held[i-1].Pos {
			e.Errorf("position %d follows %d", d.Pos, held[i-1].Pos)
		}
		if o := said[i]; o.Log != "" && (o.Log != d.Log || o.Pos != d.Pos) {
			e.Errorf("published to %s:%d, held at %s", o.Log, o.Pos, d.Origin())
		}
	}
}
