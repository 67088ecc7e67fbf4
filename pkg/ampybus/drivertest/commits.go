package drivertest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func commitPromises() []Promise {
	return []Promise{
		{
			"GroupResumesAtCommit",
			"A group that is opened again begins at its commit: what was taken and not committed comes again, in order.",
			groupResumesAtCommit,
		},
		{
			"NothingBelowCommitIsDeliveredAgain",
			"Through closes and crashes, no record below the commit is delivered again.",
			nothingBelowCommitIsDeliveredAgain,
		},
		{
			"CommitNeverGoesBack",
			"A commit below an earlier one changes nothing.",
			commitNeverGoesBack,
		},
		{
			"CommitSurvivesReconnect",
			"Commits from before an outage hold after it, and the member can commit further.",
			commitSurvivesReconnect,
		},
		{
			"CommitByAnotherEpochIsFenced",
			"Committing at an epoch that is not the member's, or on a lane that it does not own, fails with ErrFenced and moves nothing.",
			commitByAnotherEpochIsFenced,
		},
		{
			"CommitsTogetherAreEachTheirOwn",
			"Lanes that are committed together are each committed as far as asked for; one that the member does not own fails with ErrFenced and holds back none.",
			commitsTogetherAreEachTheirOwn,
		},
	}
}

func groupResumesAtCommit(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 20))
	m := e.join(tr, group("g", "m", allOrders))
	m.commits(m.takes(20)[5])
	m.close()
	again := e.join(e.connect(), group("g", "again", allOrders))
	again.takesValues(names("k", 6, 14))
}

func nothingBelowCommitIsDeliveredAgain(e *env) {
	writer := e.connect()
	const rounds, each = 4, 10
	done := 0 // records committed
	for round := range rounds {
		e.publish(writer, records(ordersA, "k", round*each, each))
		tr := e.connect()
		m := e.join(tr, group("g", "m", allOrders))
		got := m.takesValues(names("k", done, (round+1)*each-done))
		m.commits(got[each/2])
		done += each/2 + 1
		if round%2 == 0 {
			e.crash(tr)
		} else {
			m.close()
		}
	}
}

func commitNeverGoesBack(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 10))
	m := e.join(tr, group("g", "m", allOrders))
	got := m.takes(10)
	m.commits(got[6])
	_ = m.commitAt(got[2].lane, m.epoch(got[2].lane), got[2].Pos+1) // refused or ignored
	m.close()
	e.join(tr, group("g", "m", allOrders)).takesValues(names("k", 7, 3))
}

func commitSurvivesReconnect(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 10))
	first := e.join(tr, group("g", "first", allOrders))
	first.commits(first.takes(10)[2])
	e.broker.Outage(e.T)()
	e.persist(tr, records(ordersA, "k", 10, 5))
	first.takesValues(names("k", 0, 15))
	first.close()
	second := e.join(tr, group("g", "second", allOrders))
	second.takesValues(names("k", 3, 12))
	e.broker.Outage(e.T)()
	e.persist(tr, records(ordersA, "k", 15, 1))
	second.commits(second.takesValues(names("k", 3, 13))[9])
	second.close()
	e.join(e.connect(), group("g", "third", allOrders)).takesValues(names("k", 13, 3))
}

func commitByAnotherEpochIsFenced(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 5))
	m := e.join(tr, group("g", "m", allOrders))
	got := m.takes(5)
	lane := got[0].lane
	epoch := m.epoch(lane)
	for _, wrong := range []uint64{epoch - 1, epoch + 1} {
		if err := m.src.Commit(e.ctx(), lane, wrong, got[4].Pos+1); !errors.Is(err, driver.ErrFenced) {
			e.Errorf("commit at epoch %d, held is %d: %v, want %v", wrong, epoch, err, driver.ErrFenced)
		}
	}
	if err := m.src.Commit(e.ctx(), "no-such-lane", epoch, 2); !errors.Is(err, driver.ErrFenced) {
		e.Errorf("commit on a lane of nobody: %v, want %v", err, driver.ErrFenced)
	}
	m.close()
	again := e.join(tr, group("g", "m", allOrders))
	if vs := values(deliveries(again.takes(5))); !slices.Equal(vs, names("k", 0, 5)) {
		e.Errorf("after fenced commits the group resumed with %v", vs)
	}
}

func commitsTogetherAreEachTheirOwn(e *env) {
	tr := e.connect()
	for i := range 12 { // keys of several lanes, where a transport divides by key
		e.publish(tr, records(ordersA, fmt.Sprint("k", i), 0, 3))
	}
	m := e.join(tr, group("g", "m", allOrders))
	got := m.takes(36)
	last := make(map[string]taken)
	for _, t := range got {
		last[t.lane] = t
	}
	points := []driver.Point{{Lane: "no-such-lane", Epoch: 1, Low: 2}}
	var left []string
	for lane, t := range last {
		left = append(left, string(t.Value))
		points = append(points, driver.Point{Lane: lane, Epoch: m.epoch(lane), Low: t.Pos})
	}
	stale := points[len(points)-1]
	stale.Epoch++
	for i, err := range m.commitTogether(points) {
		if known := i > 0; known != (err == nil) || !known && !errors.Is(err, driver.ErrFenced) {
			e.Errorf("commit %+v together with others: %v", points[i], err)
		}
	}
	if errs := m.commitTogether([]driver.Point{stale}); !errors.Is(errs[0], driver.ErrFenced) {
		e.Errorf("commit at another epoch: %v", errs)
	}
	m.close()
	again := values(deliveries(e.join(tr, group("g", "m", allOrders)).takes(len(left))))
	slices.Sort(again)
	slices.Sort(left)
	if !slices.Equal(again, left) {
		e.Errorf("not committed: %v, delivered again: %v", left, again)
	}
}
