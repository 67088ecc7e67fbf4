package drivertest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func sharePromises() []Promise {
	return []Promise{
		{
			"SharesKeepKeysTogether",
			"With logs divided into shares, every record reaches the group, all of a key on one lane and in order.",
			sharesKeepKeysTogether,
		},
		{
			"SharesSplitTheWork",
			"Several members of a group with shares work on one log at the same time.",
			sharesSplitTheWork,
		},
		{
			"MembersShareLanesFairly",
			"While members come and go, the lanes are divided among them so that no two differ by more than one.",
			membersShareLanesFairly,
		},
		{
			"SettledLanesStay",
			"While no member comes or goes, no lane changes its owner.",
			settledLanesStay,
		},
		{
			"JoinerWaitsForDraining",
			"A lane goes to a member that joins only when its owner has said that it is done, and from its last commit on.",
			joinerWaitsForDraining,
		},
		{
			"SharesKeepOrderThroughTakeover",
			"When a member of a group with shares dies, the others get its keys from the commits on, in order, and go on with their own.",
			sharesKeepOrderThroughTakeover,
		},
		{
			"ShareMismatchIsRefused",
			"A member that asks for another number of shares than the living ones is refused with ErrConfig; where the broker divides logs itself, it changes nothing.",
			shareMismatchIsRefused,
		},
		{
			"SharesMayChangeWhileNobodyReads",
			"A group without living members may be opened with another number of shares: nothing is lost, each key stays in order, and no old owner can commit.",
			sharesMayChangeWhileNobodyReads,
		},
	}
}

// divided is a configuration with shares; keys are those of records.
func divided(member, pattern string, shares int) driver.GroupConfig {
	c := group("g", member, pattern)
	c.Shares = shares
	c.KeyOf = func(d *driver.Delivery) string { return key(string(d.Value)) }
	return c
}

// manyKeys are enough that no share of four is without one.
const manyKeys = 24

// publishKeys stores n records of each of many keys on topic A.
func (e *env) publishKeys(tr driver.Transport, first, n int) {
	e.Helper()
	for k := range manyKeys {
		e.publish(tr, records(ordersA, fmt.Sprintf("k%d", k), first, n))
	}
}

// completes waits until the members have records 0 to n of all keys between
// them.
func (e *env) completes(n int, ms ...*member) {
	e.Helper()
	e.eventually(fmt.Sprintf("%d records of every key", n), func() (any, bool) {
		all := e.union(ms)
		for k := range manyKeys {
			for _, v := range names(fmt.Sprintf("k%d", k), 0, n) {
				if !all[v] {
					return fmt.Sprintf("%d records, %s is missing", len(all), v), false
				}
			}
		}
		return nil, true
	})
}

// keysAreTogether expects that each key came on one lane.
func (e *env) keysAreTogether(ms ...*member) {
	e.Helper()
	lanes := make(map[string]string)
	for _, m := range ms {
		m.mu.Lock()
		for _, t := range m.got {
			k := key(string(t.Value))
			if was, ok := lanes[k]; ok && was != t.lane {
				e.Errorf("key %s came on lanes %s and %s", k, was, t.lane)
			}
			lanes[k] = t.lane
		}
		m.mu.Unlock()
	}
}

// keysAreInOrder expects that no member got a key's records out of order or
// with a hole, from its first on.
func (e *env) keysAreInOrder(ms ...*member) {
	e.Helper()
	for _, m := range ms {
		m.mu.Lock()
		got := deliveries(m.got)
		m.mu.Unlock()
		for k := range manyKeys {
			name := fmt.Sprintf("k%d", k)
			vs := ofKey(got, name)
			if len(vs) == 0 {
				continue
			}
			var first int
			_, _ = fmt.Sscanf(vs[0], name+"-%d", &first)
			if want := names(name, first, len(vs)); !slices.Equal(vs, want) {
				e.Errorf("%s got key %s as %v, want %v", m.name, name, vs, want)
			}
		}
	}
}

// commitAll commits all that the member took.
func (m *member) commitAll() {
	m.e.Helper()
	for _, lane := range m.owned() {
		if low := m.low(lane); low > 0 {
			if err := m.commitAt(lane, m.epoch(lane), low); err != nil && !errors.Is(err, driver.ErrFenced) {
				m.e.Errorf("%s: commit lane %s below %d: %v", m.name, lane, low, err)
			}
		}
	}
}

// fair waits until the members own all lanes of the group, and nobody two more
// than another.
func (e *env) fair(tr driver.Transport, ms ...*member) {
	e.Helper()
	e.eventually("a fair division of the lanes", func() (any, bool) {
		var lanes []string
		var counts []int
		for _, m := range ms {
			owned := m.owned()
			lanes = append(lanes, owned...)
			counts = append(counts, len(owned))
		}
		slices.Sort(lanes)
		n := e.laneCount(tr)
		all := len(slices.Compact(slices.Clone(lanes))) == len(lanes) && len(lanes) == n
		return fmt.Sprint(lanes, counts, " of ", n), all && slices.Max(counts)-slices.Min(counts) <= 1
	})
}

// laneCount is the number of lanes of the group.
func (e *env) laneCount(tr driver.Transport) int {
	e.Helper()
	lanes, err := tr.Lanes(e.ctx(), "g", allDev)
	if err != nil {
		e.Fatalf("lanes: %v", err)
	}
	return len(lanes)
}

func sharesKeepKeysTogether(e *env) {
	writer := e.connect()
	e.publishKeys(writer, 0, 4)
	a := e.join(e.connect(), divided("a", allOrders, 4))
	b := e.join(e.connect(), divided("b", allOrders, 4))
	e.publishKeys(writer, 4, 4)
	e.completes(8, a, b)
	e.keysAreTogether(a, b)
	e.keysAreInOrder(a, b)
}

func sharesSplitTheWork(e *env) {
	writer := e.connect()
	e.publishKeys(writer, 0, 1)
	a := e.join(e.connect(), divided("a", allOrders, 4))
	b := e.join(e.connect(), divided("b", allOrders, 4))
	e.fair(writer, a, b)
	e.publishKeys(writer, 1, 3)
	e.completes(4, a, b)
	a.await("records on its own lanes", func() bool { return len(a.got) > 0 })
	b.await("records on its own lanes", func() bool { return len(b.got) > 0 })
}

func membersShareLanesFairly(e *env) {
	writer := e.connect()
	e.publishKeys(writer, 0, 2)
	e.publish(writer, records(fillsA, "f", 0, 2))
	first := e.connect()
	a := e.join(first, divided("a", allDev, 4))
	a.takes(manyKeys*2 + 2)
	e.fair(writer, a)
	b := e.join(e.connect(), divided("b", allDev, 4))
	e.fair(writer, a, b)
	c := e.join(e.connect(), divided("c", allDev, 4))
	e.fair(writer, a, b, c)
	b.close()
	e.fair(writer, a, c)
	e.crash(first)
	e.fair(writer, c)
	e.publishKeys(writer, 2, 2)
	e.completes(4, a, b, c)
	e.keysAreInOrder(a, b, c)
}

func settledLanesStay(e *env) {
	writer := e.connect()
	e.publishKeys(writer, 0, 1)
	var ms []*member
	for _, name := range []string{"a", "b", "c"} {
		ms = append(ms, e.join(e.connect(), divided(name, allOrders, 4)))
	}
	e.fair(writer, ms...)
	changes := func() (n int) {
		for _, m := range ms {
			m.mu.Lock()
			n += len(m.other)
			m.mu.Unlock()
		}
		return n
	}
	before := changes()
	idle := make(chan struct{})
	if e.within(4*e.h.Lease, idle); changes() != before {
		e.Errorf("%d lane events while no member came or went", changes()-before)
	}
}

func joinerWaitsForDraining(e *env) {
	writer := e.connect()
	e.publishKeys(writer, 0, 2)
	c := divided("first", allOrders, 4)
	c.Lease = longLease // draining waits for Done, not for its time to end
	src, err := e.connect().Open(e.ctx(), c)
	if err != nil {
		e.Fatalf("open: %v", err)
	}
	low := make(map[string]uint64)
	for n := 0; n < 2*manyKeys; {
		if ev := e.receive(src); ev.Kind == driver.Records {
			n += len(ev.Records)
			low[ev.Lane] = ev.Records[len(ev.Records)-1].Pos + 1
		}
	}
	c.Member = "second"
	b := e.join(e.connect(), c)
	ev := e.receive(src)
	if ev.Kind != driver.Draining {
		e.Fatalf("the owner of all lanes got %+v, want Draining", ev)
	}
	b.never("owns a lane that its owner still drains", e.h.Quiet, func() bool { return b.lane(ev.Lane).owned })
	if err := src.Commit(e.ctx(), ev.Lane, ev.Epoch, low[ev.Lane]); err != nil {
		e.Errorf("commit while draining: %v", err)
	}
	ev.Done()
	rest := make(chan struct{})
	go func() { // brokers may give several lanes away at once
		defer close(rest)
		for more := range src.Events() {
			if more.Kind == driver.Draining {
				more.Done()
			}
		}
	}()
	var h holding
	b.await("the lane that was drained", func() bool { h = *b.lane(ev.Lane); return h.owned })
	if h.epoch <= ev.Epoch || h.next < low[ev.Lane] {
		e.Errorf("the joiner has %s as %+v, want a later epoch than %d and position %d", ev.Lane, h, ev.Epoch, low[ev.Lane])
	}
	if err := src.Commit(e.ctx(), ev.Lane, ev.Epoch, low[ev.Lane]); !errors.Is(err, driver.ErrFenced) {
		e.Errorf("commit after Done: %v, want %v", err, driver.ErrFenced)
	}
	if err := src.Close(e.ctx()); err != nil {
		e.Errorf("close: %v", err)
	}
	e.await(rest, "the end of the events")
}

func sharesKeepOrderThroughTakeover(e *env) {
	writer, first := e.connect(), e.connect()
	a := e.join(first, divided("a", allOrders, 4))
	b := e.join(e.connect(), divided("b", allOrders, 4))
	e.publishKeys(writer, 0, 4)
	e.completes(4, a, b)
	e.fair(writer, a, b)
	a.commitAll()
	b.commitAll()
	e.publishKeys(writer, 4, 4)
	e.completes(8, a, b)
	e.crash(first)
	e.publishKeys(writer, 8, 4)
	e.eventually("the last records of every key at the member that is left", func() (any, bool) {
		all := e.union([]*member{b})
		for k := range manyKeys {
			for _, v := range names(fmt.Sprintf("k%d", k), 4, 8) {
				if !all[v] {
					return v, false
				}
			}
		}
		return nil, true
	})
	e.keysAreInOrder(b)
	e.keysAreTogether(a, b)
}

func shareMismatchIsRefused(e *env) {
	writer := e.connect()
	e.publishKeys(writer, 0, 2)
	a := e.join(e.connect(), divided("a", allOrders, 4))
	a.takes(2 * manyKeys)
	lanes := e.laneCount(writer)
	other := e.connect()
	for _, shares := range []int{0, 2, 8} {
		c := divided("b", allOrders, shares)
		c.Lease = e.h.Lease
		src, err := other.Open(e.ctx(), c)
		switch {
		case err == nil:
			if _, _, n := driver.CutLane(a.owned()[0]); n > 1 {
				e.Errorf("a member with %d shares joined one with 4", shares)
			}
			_ = src.Close(e.ctx())
		case !errors.Is(err, driver.ErrConfig):
			e.Errorf("a member with %d shares: %v, want %v", shares, err, driver.ErrConfig)
		}
	}
	e.publishKeys(writer, 2, 2)
	a.takes(4 * manyKeys)
	if n := e.laneCount(writer); n != lanes {
		e.Errorf("%d lanes after refused members, %d before", n, lanes)
	}
	e.keysAreInOrder(a)
}

func sharesMayChangeWhileNobodyReads(e *env) {
	writer := e.connect()
	e.publish(writer, records(ordersA, "k0", 0, 1))
	done := make(map[string]bool) // committed by one of the members so far
	var all []*member
	for round, shares := range []int{1, 4, 2, 1, 4} {
		e.publishKeys(writer, 1+2*round, 2)
		tr := e.connect()
		m := e.join(tr, divided(fmt.Sprint("m", round), allOrders, shares))
		all = append(all, m)
		e.eventually("all that is not committed", func() (any, bool) {
			have := e.union([]*member{m})
			for k := range manyKeys {
				for _, v := range names(fmt.Sprintf("k%d", k), 1, 2+2*round) {
					if !done[v] && !have[v] {
						return v, false
					}
				}
			}
			return nil, true
		})
		e.keysAreInOrder(m)
		e.keysAreTogether(m)
		e.commitsOddLanes(m, done)
		if round == 2 {
			e.crash(tr)
		} else {
			m.close()
		}
	}
	old := all[0]
	for lane := range old.lanes {
		if err := old.src.Commit(e.ctx(), lane, old.epoch(lane), 2); err == nil {
			e.Errorf("a member of the first division committed lane %s", lane)
		}
	}
}

// commitsOddLanes commits all of every second lane, so that commits of a log
// differ, and notes what is finished.
func (e *env) commitsOddLanes(m *member, done map[string]bool) {
	e.Helper()
	lanes := m.owned()
	slices.Sort(lanes)
	for i, lane := range lanes {
		low := m.low(lane)
		if i%2 == 1 || low == 0 {
			continue
		}
		if err := m.commitAt(lane, m.epoch(lane), low); err != nil {
			e.Errorf("%s: commit lane %s: %v", m.name, lane, err)
		}
		m.mu.Lock()
		for _, t := range m.got {
			if t.lane == lane {
				done[string(t.Value)] = true
			}
		}
		m.mu.Unlock()
	}
}
