package drivertest

import (
	"fmt"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func memberPromises() []Promise {
	return []Promise{
		{
			"MembersShareNoKey",
			"While members of a group come and go, a lane has one owner at each epoch, and every record reaches the group, each key in order.",
			membersShareNoKey,
		},
		{
			"OneClientMayHoldSeveralMembers",
			"Members of one group on one client are members like any others.",
			oneClientMayHoldSeveralMembers,
		},
	}
}

// shared are the topics that groups with several members read: several logs,
// so that there is something to share on every broker.
func shared() []string {
	return []string{ordersA, fillsA, "ampy.dev.bars.v1.XNAS.A", "ampy.dev.fx.v1.EURUSD"}
}

const wave = 10 // records of each key

// publishWave stores the n-th wave on every shared topic.
func (e *env) publishWave(tr driver.Transport, n int) {
	e.Helper()
	for i, topic := range shared() {
		e.publish(tr, records(topic, fmt.Sprintf("k%d", i), n*wave, wave))
	}
}

func membersShareNoKey(e *env) {
	writer := e.connect()
	e.publishWave(writer, 0)
	first := e.connect()
	a := e.join(first, group("g", "a", allDev))
	a.takes(len(shared()) * wave)
	b := e.join(e.connect(), group("g", "b", allDev))
	e.publishWave(writer, 1)
	e.together(2*wave, a, b)
	e.ownNothingTogether(a, b)
	c := e.join(e.connect(), group("g", "c", allDev))
	e.publishWave(writer, 2)
	e.together(3*wave, a, b, c)
	a.close()
	e.publishWave(writer, 3)
	e.together(4*wave, a, b, c)
	e.ownNothingTogether(b, c)
	e.publishWave(writer, 4)
	e.together(5*wave, a, b, c)
	e.tookNothingTogether(4, b, c)
}

// tookNothingTogether expects that no record of a wave was delivered to both.
func (e *env) tookNothingTogether(n int, a, b *member) {
	e.Helper()
	ofB := e.union([]*member{b})
	for v := range e.union([]*member{a}) {
		for i := range shared() {
			if ofB[v] && slices.Contains(names(fmt.Sprintf("k%d", i), n*wave, wave), v) {
				e.Errorf("%s was delivered to %s and to %s", v, a.name, b.name)
			}
		}
	}
}

func oneClientMayHoldSeveralMembers(e *env) {
	tr := e.connect()
	a := e.join(tr, group("g", "a", allDev))
	b := e.join(tr, group("g", "b", allDev))
	e.publishWave(tr, 0)
	e.together(wave, a, b)
	e.ownNothingTogether(a, b)
	a.close()
	e.publishWave(tr, 1)
	e.together(2*wave, a, b)
}

// together waits until the members have n records of every key between them.
func (e *env) together(n int, ms ...*member) {
	e.Helper()
	e.eventually(fmt.Sprintf("%d records of every key", n), func() (any, bool) {
		have := make(map[string]int)
		for v := range e.union(ms) {
			have[key(v)]++
		}
		for i := range shared() {
			if have[fmt.Sprintf("k%d", i)] < n {
				return have, false
			}
		}
		return have, true
	})
}

// union is the set of values that the members took.
func (e *env) union(ms []*member) map[string]bool {
	all := make(map[string]bool)
	for _, m := range ms {
		m.mu.Lock()
		for _, t := range m.got {
			all[string(t.Value)] = true
		}
		m.mu.Unlock()
	}
	return all
}

// ownNothingTogether waits until each lane has one owner by the members' own
// account: who lost one may hear of it later than the new owner.
func (e *env) ownNothingTogether(ms ...*member) {
	e.Helper()
	e.eventually("one owner for each lane", func() (any, bool) {
		var lanes []string
		for _, m := range ms {
			lanes = append(lanes, m.owned()...)
		}
		slices.Sort(lanes)
		return lanes, len(slices.Compact(slices.Clone(lanes))) == len(lanes) && len(lanes) > 0
	})
}

// owned lists the lanes that the member holds.
func (m *member) owned() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lanes []string
	for name, l := range m.lanes {
		if l.owned {
			lanes = append(lanes, name)
		}
	}
	return lanes
}
