package drivertest

import (
	"fmt"
	"slices"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func readPromises() []Promise {
	return []Promise{
		{
			"HistoryIsWhole",
			"A reader gets every record held, each log in its order.",
			historyIsWhole,
		},
		{
			"HistoryByWindow",
			"A window [start, end) holds exactly the records stored at start or later and before end.",
			historyByWindow,
		},
		{
			"HistoryEndsWhereItWasWhenOpened",
			"A reader without an end stops behind the last record held when it was opened, however long it takes to read.",
			historyEndsWhereItWasWhenOpened,
		},
		{
			"HistoryMergesLogsByTime",
			"History of several logs comes in the order of storing.",
			historyMergesLogsByTime,
		},
		{
			"HistoryFromPositions",
			"A reader begins at the positions that it is given, and at its start on the other logs, also when it follows.",
			historyFromPositions,
		},
		{
			"HistoryOfNothingEnds",
			"Reading a pattern that nothing matches, on a broker with and without records, ends at once and stays at its end.",
			historyOfNothingEnds,
		},
		{
			"ReadLeavesNoTrace",
			"Readers move no group, and when they are closed nothing of them is left on the broker.",
			readLeavesNoTrace,
		},
	}
}

func historyIsWhole(e *env) {
	const total = 3000
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, total))
	if got, want := values(e.history(e.connect(), allOrders)), names("k", 0, total); !slices.Equal(got, want) {
		e.Fatalf("history has %d records in another order or number than the %d stored", len(got), total)
	}
}

// distinct stores records until n times of storing differ, and returns all
// records held.
func (e *env) distinct(tr driver.Transport, n int) []driver.Delivery {
	e.Helper()
	deadline := time.Now().Add(e.h.Patience)
	for first := 0; time.Now().Before(deadline); first += n {
		for i := range n {
			e.publish(tr, records(ordersA, "k", first+i, 1))
		}
		held := e.history(tr, allOrders)
		times := slices.CompactFunc(slices.Clone(held), func(a, b driver.Delivery) bool { return a.StoredAt.Equal(b.StoredAt) })
		if len(times) >= n {
			return held
		}
	}
	e.Fatalf("the broker's clock did not show %d times in %v", n, e.h.Patience)
	return nil
}

func historyByWindow(e *env) {
	tr := e.connect()
	held := e.distinct(tr, 8)
	at := func(i int) time.Time { return held[i].StoredAt }
	last := len(held) - 1
	for name, w := range map[string][2]time.Time{
		"two records' times":        {at(2), at(5)},
		"just behind a record":      {at(2).Add(1), at(5).Add(1)},
		"just before a record":      {at(2).Add(-1), at(5).Add(-1)},
		"open start":                {{}, at(5)},
		"open end":                  {at(2), {}},
		"one record":                {at(last), at(last).Add(1)},
		"empty":                     {at(3), at(3)},
		"before everything":         {at(0).Add(-time.Hour), at(0)},
		"behind everything":         {at(last).Add(1), at(last).Add(2)},
		"open end, behind the last": {at(last).Add(1), {}},
	} {
		var want []string
		for _, d := range held {
			if !d.StoredAt.Before(w[0]) && (w[1].IsZero() || d.StoredAt.Before(w[1])) {
				want = append(want, string(d.Value))
			}
		}
		got := values(e.window(tr, driver.ReadConfig{Pattern: allOrders, Start: w[0], End: w[1]}))
		if !slices.Equal(got, want) {
			e.Errorf("window %q [%v, %v) holds %v, want %v", name, w[0], w[1], got, want)
		}
	}
}

func historyEndsWhereItWasWhenOpened(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 500))
	r := e.reader(tr, driver.ReadConfig{Pattern: allDev})
	first := values(e.reads(r, 1))
	e.publish(tr, records(ordersA, "k", 500, 10))
	e.publish(tr, records(fillsA, "later", 0, 10))
	rest, gaps := e.drain(r)
	if got, want := append(first, rest...), names("k", 0, 500); !slices.Equal(got, want) || len(gaps) > 0 {
		e.Errorf("read %d records and gaps %v, want the 500 of before", len(got), gaps)
	}
}

func historyMergesLogsByTime(e *env) {
	tr := e.connect()
	const rounds = 40
	for n := range rounds {
		for i, topic := range shared() {
			e.publish(tr, records(topic, fmt.Sprintf("k%d", i), n, 1))
		}
	}
	held := e.history(tr, allDev)
	if len(held) != rounds*len(shared()) {
		e.Fatalf("%d records are held, want %d", len(held), rounds*len(shared()))
	}
	for i := 1; i < len(held); i++ {
		if held[i].StoredAt.Before(held[i-1].StoredAt) {
			e.Errorf("%s, stored at %v, comes behind %s, stored at %v",
				held[i].Origin(), held[i].StoredAt, held[i-1].Origin(), held[i-1].StoredAt)
		}
	}
}

func historyFromPositions(e *env) {
	tr := e.connect()
	held := e.published(tr, 10)
	e.publish(tr, records(fillsA, "f", 0, 4))
	got := e.window(tr, driver.ReadConfig{
		Pattern: allDev,
		Start:   held[9].StoredAt.Add(time.Hour),
		From:    map[string]uint64{held[0].Log: held[4].Pos},
	})
	if vs, want := values(got), names("k", 4, 6); !slices.Equal(vs, want) {
		e.Errorf("from a position and a start in the future came %v, want %v", vs, want)
	}
	got = e.window(tr, driver.ReadConfig{Pattern: allDev, From: map[string]uint64{held[0].Log: held[9].Pos + 1}})
	if vs, want := values(got), names("f", 0, 4); !slices.Equal(vs, want) {
		e.Errorf("from behind the end of one log came %v, want %v", vs, want)
	}
	follow := e.reader(tr, driver.ReadConfig{
		Pattern: allOrders, Follow: true, From: map[string]uint64{held[0].Log: held[7].Pos},
	})
	e.publish(tr, records(ordersA, "k", 10, 2))
	if vs, want := values(e.reads(follow, 5)), names("k", 7, 5); !slices.Equal(vs, want) {
		e.Errorf("a reader that follows from a position got %v, want %v", vs, want)
	}
}

func historyOfNothingEnds(e *env) {
	tr := e.connect()
	for range 2 {
		for _, pattern := range []string{allOrders, "ampy.prod.>", "ampy.prod.fills.v1.events"} {
			r := e.reader(tr, driver.ReadConfig{Pattern: pattern})
			for range 2 {
				if got, _ := e.drain(r); len(got) > 0 {
					e.Errorf("history of %s has %v", pattern, got)
				}
			}
		}
		e.publish(tr, records("ampy.dev.orders.v2.A", "k", 0, 1))
	}
}

func readLeavesNoTrace(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 10))
	m := e.join(tr, group("g", "m", allOrders))
	m.commits(m.takes(10)[4])
	m.close()
	before := e.broker.Groups(e.T)
	for range 3 {
		e.history(tr, allDev)
		e.reads(e.reader(tr, driver.ReadConfig{Pattern: allOrders, Follow: true}), 10)
		live := e.reader(tr, driver.ReadConfig{Pattern: allOrders, New: true})
		if err := live.Close(); err != nil {
			e.Errorf("close reader: %v", err)
		}
	}
	if err := tr.Close(e.ctx()); err != nil {
		e.Errorf("close: %v", err)
	}
	e.eventually("readers to leave nothing behind", func() (any, bool) {
		after := e.broker.Groups(e.T)
		return fmt.Sprintf("%v, before: %v", after, before), slices.Equal(sorted(after), sorted(before))
	})
	e.join(e.connect(), group("g", "m", allOrders)).takesValues(names("k", 5, 5))
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
