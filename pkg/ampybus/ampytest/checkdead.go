package ampytest

import (
	"strconv"
	"strings"
)

// checkDead checks that a record has at most one dead letter, with the bytes
// and headers as they were.
func (a *audit) checkDead() {
	seen := make(map[string]bool)
	for i := range a.events {
		e := &a.events[i]
		if e.Op != OpLetter {
			continue
		}
		if seen[e.Origin] {
			a.find(DeadTwice, e.Key, e.ID, "%s has two dead letters", e.Origin)
		}
		seen[e.Origin] = true
		original, ok := a.original(e.Origin)
		if ok && (original.Hash != e.Hash || original.Head != e.Head) {
			a.find(DeadChanged, e.Key, e.ID, "the dead letter of %s is not what is stored there", e.Origin)
		}
	}
}

// original is the record that a dead letter stems from, if a log still holds it.
func (a *audit) original(origin string) (Event, bool) {
	i := strings.LastIndexByte(origin, ':')
	if i < 0 {
		return Event{}, false
	}
	pos, err := strconv.ParseUint(origin[i+1:], 10, 64)
	l := a.logs[origin[:i]]
	if err != nil || l == nil {
		return Event{}, false
	}
	e, ok := l.held[pos]
	return e, ok
}

// figures counts what was looked at.
func (a *audit) figures() {
	r := &a.report
	delivered := make(map[place]bool)
	epochs := make(map[string]uint64)
	for i := range a.events {
		e := &a.events[i]
		switch e.Op {
		case OpStore, OpDead:
			r.Attempts++
		case OpHold:
			r.Held++
		case OpLetter:
			r.Dead++
		case OpGap:
			r.Gaps++
		case OpDeliver:
			r.Delivered++
			p := place{e.Lane, e.Pos}
			if delivered[p] {
				r.Redelivered++
			}
			delivered[p] = true
		case OpOwn:
			if before, ok := epochs[e.Lane]; ok && e.Epoch > before {
				r.Takeovers++
			}
			epochs[e.Lane] = max(epochs[e.Lane], e.Epoch)
		case OpCommit:
			a.countCommit(e)
		}
	}
	a.countMessages()
}

func (a *audit) countCommit(e *Event) {
	switch e.Phase {
	case OK:
		a.report.Commits++
	case Fail:
		a.report.Fenced++
	}
}

func (a *audit) countMessages() {
	r := &a.report
	for _, m := range a.msgs {
		if m.calls > 0 {
			r.Published++
		}
		r.Failed += m.failed
		r.Uncertain += m.unsure
		if m.unsure > 0 && len(m.held) > 0 {
			r.Recovered++
		}
		if m.effects > 0 {
			r.Applied++
			r.Repeated += m.effects - 1
		}
	}
}
