package drivertest

import (
	"fmt"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func lanePromises() []Promise {
	return []Promise{
		{
			"LanesReportPending",
			"Lanes reports a group's lanes under the names of its events, with its commit, and how many records are left.",
			lanesReportPending,
		},
		{
			"LanesReportLogs",
			"Without a group, Lanes reports the logs with the positions, the number and the size of what they hold.",
			lanesReportLogs,
		},
		{
			"UnmatchedRecordsAreNotPending",
			"Records that a group's pattern does not match are not pending for it, wherever they stand among those that it matches.",
			unmatchedRecordsAreNotPending,
		},
		{
			"LanesLeaveNoTrace",
			"Asking for the lanes of a group that does not exist creates none.",
			lanesLeaveNoTrace,
		},
	}
}

// laneOf waits until Lanes reports what is expected of one lane.
func (e *env) laneOf(tr driver.Transport, group, name string, ok func(driver.LaneState) bool) {
	e.Helper()
	e.eventually(fmt.Sprintf("the state of lane %s of group %q", name, group), func() (any, bool) {
		lanes, err := tr.Lanes(e.ctx(), group, allDev)
		if err != nil {
			e.Fatalf("lanes of group %q: %v", group, err)
		}
		i := slices.IndexFunc(lanes, func(l driver.LaneState) bool { return l.Lane == name })
		return fmt.Sprintf("%+v", lanes), i >= 0 && ok(lanes[i])
	})
}

func lanesReportPending(e *env) {
	tr := e.connect()
	held := e.published(tr, 10)
	e.publish(tr, records(fillsA, "f", 0, 2))
	m := e.join(tr, group("g", "m", allDev))
	m.takes(12)
	m.mu.Lock()
	got := slices.DeleteFunc(slices.Clone(m.got), func(t taken) bool { return t.Topic != ordersA })
	m.mu.Unlock()
	m.commits(got[3])
	e.laneOf(tr, "g", got[0].lane, func(l driver.LaneState) bool {
		return l.Log == held[0].Log && l.Committed > held[3].Pos && l.Committed <= held[4].Pos &&
			l.Pending == 6 && l.Next == held[9].Pos+1 && (l.Owner == "" || l.Owner == "m")
	})
	m.commits(got[9])
	e.laneOf(tr, "g", got[0].lane, func(l driver.LaneState) bool { return l.Pending == 0 && l.Committed == l.Next })
	m.close()
	e.publish(tr, records(ordersA, "k", 10, 5))
	e.laneOf(tr, "g", got[0].lane, func(l driver.LaneState) bool { return l.Pending == 5 && l.Owner == "" })
}

func unmatchedRecordsAreNotPending(e *env) {
	tr := e.connect()
	log := e.published(tr, 10)[0].Log
	m := e.join(tr, group("g", "m", ordersB))
	nothing := func(l driver.LaneState) bool { return l.Pending == 0 }
	e.laneOf(tr, "g", log, nothing)
	recs := append(records(ordersB, "k", 10, 1), records(ordersA, "k", 11, 5)...)
	e.publish(tr, recs)
	got := m.takes(1)
	e.laneOf(tr, "g", log, func(l driver.LaneState) bool { return l.Pending > 0 })
	m.commits(got[0])
	e.laneOf(tr, "g", log, nothing)
}

func lanesReportLogs(e *env) {
	tr := e.connect()
	held := e.published(tr, 10)
	log := held[0].Log
	e.laneOf(tr, "", log, func(l driver.LaneState) bool {
		return l.Log == log && l.First == held[0].Pos && l.Next == held[9].Pos+1 &&
			l.Records == 10 && l.Pending == 10 && l.Bytes > 0 && l.Owner == "" && l.Committed == 0
	})
	e.broker.Truncate(e.T, log, held[4].Pos)
	e.laneOf(tr, "", log, func(l driver.LaneState) bool {
		return l.First == held[4].Pos && l.Next == held[9].Pos+1 && l.Records == 6 && l.Pending == 6
	})
	other, err := tr.Lanes(e.ctx(), "", "ampy.prod.>")
	if err != nil || len(other) > 0 {
		e.Errorf("lanes of a pattern without logs: %+v, %v", other, err)
	}
}

func lanesLeaveNoTrace(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 5))
	lanes, err := tr.Lanes(e.ctx(), "nobody", allOrders)
	if err != nil {
		e.Errorf("lanes of a group that does not exist: %v", err)
	}
	for _, l := range lanes {
		if l.Committed > l.First || l.Owner != "" {
			e.Errorf("a group that does not exist has %+v", l)
		}
	}
	if groups := e.broker.Groups(e.T); len(groups) > 0 {
		e.Errorf("asking for lanes left %v on the broker", groups)
	}
}
