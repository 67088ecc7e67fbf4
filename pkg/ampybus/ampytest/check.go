package ampytest

import (
	"fmt"
	"slices"
	"strings"
)

// Rules say what a history may hold.
type Rules struct {
	// Repeats accepts effects that happen again, or under a former owner: what
	// a handler without a store that dedupes and fences promises. Order then is
	// that of first effects.
	Repeats bool
	// Redriven expects every message to be applied in the end: all dead letters
	// were sent back and handled.
	Redriven bool
	// Parks expects effects in the order of publishing, also across redrives:
	// a dead letter holds its key.
	Parks bool
}

// Check looks for broken promises in all that happened. Call it when every
// consumer is done, and after Collect.
func (h *History) Check(r Rules) *Report {
	a := newAudit(h.Events(), r)
	a.checkPublishes()
	a.checkPositions()
	a.checkEffects()
	a.checkLosses()
	a.checkCommits()
	a.checkDead()
	a.figures()
	return &a.report
}

// audit is a history, ordered for looking things up.
type audit struct {
	rules  Rules
	events []Event
	report Report

	msgs  map[string]*message
	keys  map[string][]*message // in the order of their first publish, or of the log
	names []string              // of keys, in order of appearance
	logs  map[string]*logView
	order []string // of logs, in order of appearance
}

// message is all that is known of one message.
type message struct {
	id, key string
	nth     int // of its key, from 0, in the order of keys
	calls   int // publishes, by whomever
	ok      int // of these, reported stored
	unsure  int
	failed  int
	as      map[string]bool // publish ids that may be stored
	stored  []place         // by the broker's word, or delivered from there
	held    []place
	effects int
	dead    bool // a dead letter of it was stored, or may be
	poison  bool
}

// logView is what is known of one log.
type logView struct {
	first, last uint64           // positions that the history speaks of
	held        map[uint64]Event // at the end
	seen        map[uint64]Event // ever
	gaps        []Event
}

// place is a position of a log.
type place struct {
	log string
	pos uint64
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.log, p.pos) }

func newAudit(events []Event, r Rules) *audit {
	a := &audit{
		rules: r, events: events,
		msgs: make(map[string]*message), keys: make(map[string][]*message),
		logs: make(map[string]*logView),
	}
	for i := range events {
		a.take(&events[i])
	}
	return a
}

func (a *audit) take(e *Event) {
	switch e.Op {
	case OpPublish:
		a.takePublish(e)
	case OpStore:
		a.takeStore(e)
	case OpDead:
		if e.Phase != Fail {
			a.message(e).dead = true
		}
	case OpLetter:
		a.message(e).dead = true
	case OpExpect:
		a.message(e).poison = true
	case OpHold:
		m := a.message(e)
		m.held = append(m.held, place{e.Log, e.Pos})
		a.log(e.Log).hold(e)
	case OpDeliver:
		a.log(e.Log).see(e)
		if m := a.msgs[e.ID]; m != nil {
			m.lie(place{e.Log, e.Pos})
		}
	case OpGap:
		l := a.log(logOf(e.Lane))
		l.gaps = append(l.gaps, *e)
	}
}

func (a *audit) takePublish(e *Event) {
	m := a.message(e)
	switch e.Phase {
	case Invoke:
		m.calls++
	case OK:
		m.ok++
		m.as[e.As] = true
	case Info:
		m.unsure++
		m.as[e.As] = true
	case Fail:
		m.failed++
	}
}

func (a *audit) takeStore(e *Event) {
	if e.Phase == Fail {
		return
	}
	m := a.message(e)
	m.as[e.As] = true
	if e.Phase == OK && e.Log != "" {
		m.lie(place{e.Log, e.Pos})
		if e.Text == "" { // a duplicate's bytes are not those that are stored
			a.log(e.Log).see(e)
		}
	}
}

// lie notes where a copy was stored.
func (m *message) lie(at place) {
	if !slices.Contains(m.stored, at) {
		m.stored = append(m.stored, at)
	}
}

// message finds or makes the message that e speaks of.
func (a *audit) message(e *Event) *message {
	m := a.msgs[e.ID]
	if m == nil {
		m = &message{id: e.ID, key: e.Key, as: make(map[string]bool)}
		a.msgs[e.ID] = m
		if a.keys[e.Key] == nil {
			a.names = append(a.names, e.Key)
		}
		m.nth = len(a.keys[e.Key])
		a.keys[e.Key] = append(a.keys[e.Key], m)
	}
	return m
}

func (a *audit) log(name string) *logView {
	l := a.logs[name]
	if l == nil {
		l = &logView{held: make(map[uint64]Event), seen: make(map[uint64]Event)}
		a.logs[name] = l
		a.order = append(a.order, name)
	}
	return l
}

func (l *logView) see(e *Event) {
	if _, known := l.seen[e.Pos]; !known {
		l.seen[e.Pos] = *e
	}
	if l.first == 0 || e.Pos < l.first {
		l.first = e.Pos
	}
	l.last = max(l.last, e.Pos)
}

func (l *logView) hold(e *Event) {
	l.see(e)
	l.held[e.Pos] = *e
}

// reported tells whether a gap that covers pos was reported.
func (l *logView) reported(pos uint64) bool {
	for _, g := range l.gaps {
		if g.Pos <= pos && pos < g.To {
			return true
		}
	}
	return false
}

// logOf is the log of a lane, which is a log or a share of one ("log/share").
func logOf(lane string) string {
	log, _, _ := strings.Cut(lane, "/")
	return log
}

func (a *audit) find(k Kind, key, id, format string, args ...any) {
	a.report.Findings = append(a.report.Findings, Finding{Kind: k, Key: key, ID: id, Text: fmt.Sprintf(format, args...)})
}
