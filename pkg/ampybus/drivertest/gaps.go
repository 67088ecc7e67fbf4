package drivertest

import (
	"errors"
	"io"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func gapPromises() []Promise {
	return []Promise{
		{
			"GapIsReported",
			"When records behind a group's commit are gone, its next member gets a Gap with exactly their positions, and then what follows.",
			gapIsReported,
		},
		{
			"GapIsReportedWhileOpen",
			"When records are gone before an open group has received them, each of them is delivered or in a Gap, and none is in both.",
			gapIsReportedWhileOpen,
		},
		{
			"GapAtTheEndIsReported",
			"A gap is reported also when nothing is left behind it.",
			gapAtTheEndIsReported,
		},
		{
			"NewGroupSeesNoGap",
			"What was gone before a group first read is no gap for it, nor for a reader that begins at the oldest record.",
			newGroupSeesNoGap,
		},
		{
			"GapIsReportedToReaders",
			"A reader that is to begin at a position that is gone gets a GapError with exactly the missing positions, and then what follows.",
			gapIsReportedToReaders,
		},
		{
			"GapIsReportedWhileReading",
			"When records are gone before an open reader has read them, each of them is read or in a GapError.",
			gapIsReportedWhileReading,
		},
	}
}

// published stores n records of one key and returns them as they are held.
func (e *env) published(tr driver.Transport, n int) []driver.Delivery {
	e.Helper()
	e.publish(tr, records(ordersA, "k", 0, n))
	return e.history(tr, allOrders)
}

func gapIsReported(e *env) {
	tr := e.connect()
	held := e.published(tr, 10)
	m := e.join(tr, group("g", "m", allOrders))
	m.commits(m.takes(10)[2])
	m.close()
	e.broker.Truncate(e.T, held[7].Log, held[7].Pos)
	again := e.join(tr, group("g", "m", allOrders))
	again.takesValues(names("k", 7, 3))
	if gap := again.sees("a gap", driver.Gap); gap.From != held[3].Pos || gap.To != held[7].Pos {
		e.Errorf("the gap is [%d, %d), want [%d, %d)", gap.From, gap.To, held[3].Pos, held[7].Pos)
	}
}

func gapIsReportedWhileOpen(e *env) {
	tr := e.connect()
	held := e.published(tr, 20)
	c := group("g", "m", allOrders)
	c.MaxSpan = 5
	m := e.join(tr, c)
	got := m.takes(5)
	e.broker.Truncate(e.T, held[12].Log, held[12].Pos)
	for last := got[4]; last.Pos < held[19].Pos; last = got[len(got)-1] {
		m.commits(last)
		got = m.takes(len(got) + 1)
	}
	e.eachOnce(held, values(deliveries(got)), m.gaps())
}

// gaps lists the gaps that the member was told of.
func (m *member) gaps() []driver.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	var gaps []driver.Event
	for _, ev := range m.other {
		if ev.Kind == driver.Gap {
			gaps = append(gaps, ev)
		}
	}
	return gaps
}

// eachOnce expects each record among the values or in a gap, and not in both.
func (e *env) eachOnce(held []driver.Delivery, got []string, gaps []driver.Event) {
	e.Helper()
	for _, d := range held {
		n := 0
		for _, v := range got {
			if v == string(d.Value) {
				n++
			}
		}
		for _, g := range gaps {
			if d.Pos >= g.From && d.Pos < g.To {
				n++
			}
		}
		if n != 1 {
			e.Errorf("%s at %d was delivered or reported missing %d times; gaps: %v", d.Value, d.Pos, n, gaps)
		}
	}
}

func gapAtTheEndIsReported(e *env) {
	tr := e.connect()
	held := e.published(tr, 5)
	m := e.join(tr, group("g", "m", allOrders))
	m.commits(m.takes(5)[1])
	m.close()
	end := held[4].Pos + 1
	e.broker.Truncate(e.T, held[4].Log, end)
	again := e.join(tr, group("g", "m", allOrders))
	if gap := again.sees("a gap", driver.Gap); gap.From != held[2].Pos || gap.To != end {
		e.Errorf("the gap is [%d, %d), want [%d, %d)", gap.From, gap.To, held[2].Pos, end)
	}
	e.publish(tr, records(ordersA, "k", 5, 2))
	again.takesValues(names("k", 5, 2))
}

func newGroupSeesNoGap(e *env) {
	tr := e.connect()
	held := e.published(tr, 10)
	e.broker.Truncate(e.T, held[6].Log, held[6].Pos)
	m := e.join(tr, group("g", "m", allOrders))
	m.takesValues(names("k", 6, 4))
	if gaps := m.gaps(); len(gaps) > 0 {
		e.Errorf("a new group was told of gaps: %+v", gaps)
	}
	// The window fails the test at a gap.
	for _, c := range []driver.ReadConfig{{Pattern: allOrders}, {Pattern: allOrders, Start: held[0].StoredAt}} {
		if got, want := values(e.window(tr, c)), names("k", 6, 4); !slices.Equal(got, want) {
			e.Errorf("history holds %v, want %v", got, want)
		}
	}
}

// drain reads to the end of a window, and collects its gaps.
func (e *env) drain(r driver.Reader) (got []string, gaps []driver.Event) {
	e.Helper()
	for {
		recs, err := r.Next(e.ctx())
		var gap *driver.GapError
		switch {
		case errors.Is(err, io.EOF):
			return got, gaps
		case errors.As(err, &gap):
			gaps = append(gaps, driver.Event{Kind: driver.Gap, Lane: gap.Log, From: gap.From, To: gap.To})
		case err != nil:
			e.Fatalf("read: %v", err)
		}
		got = append(got, values(recs)...)
	}
}

func gapIsReportedToReaders(e *env) {
	tr := e.connect()
	held := e.published(tr, 10)
	log := held[0].Log
	e.broker.Truncate(e.T, log, held[6].Pos)
	from := driver.ReadConfig{Pattern: allOrders, From: map[string]uint64{log: held[2].Pos}}
	got, gaps := e.drain(e.reader(tr, from))
	if want := names("k", 6, 4); !slices.Equal(got, want) {
		e.Errorf("behind the gap came %v, want %v", got, want)
	}
	if len(gaps) != 1 || gaps[0].Lane != log || gaps[0].From != held[2].Pos || gaps[0].To != held[6].Pos {
		e.Errorf("gaps: %+v, want one of %s [%d, %d)", gaps, log, held[2].Pos, held[6].Pos)
	}
	from.Follow = true
	if _, err := e.reader(tr, from).Next(e.ctx()); !errors.As(err, new(*driver.GapError)) {
		e.Errorf("a reader that follows got %v at a gap, want a GapError", err)
	}
}

func gapIsReportedWhileReading(e *env) {
	const total = 2000
	tr := e.connect()
	held := e.published(tr, total)
	r := e.reader(tr, driver.ReadConfig{Pattern: allOrders})
	first := e.reads(r, 1)
	e.broker.Truncate(e.T, held[total-1].Log, held[total-1].Pos)
	got, gaps := e.drain(r)
	e.eachOnce(held, append(values(first), got...), gaps)
}
