package redrive

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Filter selects dead letters. Every field that is set must match; the zero
// value selects all. Globs are those of path.Match: "*" and "?" do not cross
// a slash, which no field here holds.
type Filter struct {
	// Reasons are globs on the reason's code ("handler", "decode:*").
	Reasons []string `json:"reasons,omitempty"`
	// Keys are globs on the partition key.
	Keys []string `json:"keys,omitempty"`
	// Topics are patterns of the original topic ("ampy.prod.bars.v1.XNAS.>").
	Topics []string `json:"topics,omitempty"`
	// Groups are globs on the consumer group that gave the message up.
	Groups []string `json:"groups,omitempty"`
	// Since and Until bound the time of death: [Since, Until).
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Where is an expression over the fields of Letter that yields a bool, such
	// as `retry_count < 2 && size > 1000 && reason contains "scale"`. The
	// language is that of github.com/expr-lang/expr.
	Where string `json:"where,omitempty"`
	// Limit bounds how many are selected. Zero: all.
	Limit int `json:"limit,omitempty"`
}

// Letter is what Filter.Where sees of a dead letter.
type Letter struct {
	Topic      string    `expr:"topic"` // the original one
	Key        string    `expr:"key"`
	Reason     string    `expr:"reason"`
	Code       string    `expr:"code"`
	Group      string    `expr:"group"`
	MessageID  string    `expr:"message_id"`
	Schema     string    `expr:"schema"`
	Producer   string    `expr:"producer"`
	Source     string    `expr:"source"`
	RunID      string    `expr:"run_id"`
	RetryCount int       `expr:"retry_count"`
	Attempts   int       `expr:"attempts"`
	Size       int       `expr:"size"` // bytes as stored
	DiedAt     time.Time `expr:"died_at"`
	ProducedAt time.Time `expr:"produced_at"`
}

func letterOf(d *ampybus.DeadLetter) Letter {
	h := &d.Headers
	return Letter{
		Topic: d.Target, Key: h.PartitionKey, Reason: h.DLQ.Reason, Code: d.Code, Group: h.DLQ.Group,
		MessageID: h.MessageID, Schema: h.SchemaFQDN, Producer: h.Producer, Source: h.Source, RunID: h.RunID,
		RetryCount: h.RetryCount, Attempts: h.DLQ.Attempts, Size: len(d.Record.Value),
		DiedAt: diedAt(d), ProducedAt: h.ProducedAt,
	}
}

// diedAt is dlq_at, or the stored time where a peer did not write it.
func diedAt(d *ampybus.DeadLetter) time.Time {
	if d.Headers.DLQ.At.IsZero() {
		return d.StoredAt
	}
	return d.Headers.DLQ.At
}

// matcher is a compiled Filter.
type matcher struct {
	f      Filter
	topics []ampybus.Pattern
	where  *vm.Program
}

// Matcher compiles f into a function that tells whether a dead letter is
// selected; Limit is left to the caller. Faults of f are those of Validate; an
// error of the function is Where's, on that dead letter.
func (f Filter) Matcher() (func(*ampybus.DeadLetter) (bool, error), error) {
	m, err := f.compile()
	if err != nil {
		return nil, err
	}
	return m.match, nil
}

// Validate reports every fault of f, each naming its field.
func (f Filter) Validate() error {
	_, err := f.compile()
	return err
}

func (f Filter) compile() (*matcher, error) {
	m := &matcher{f: f}
	var faults []error
	for field, globs := range map[string][]string{"reasons": f.Reasons, "keys": f.Keys, "groups": f.Groups} {
		for _, g := range globs {
			if _, err := path.Match(g, ""); err != nil {
				faults = append(faults, &ampybus.FieldError{Field: field, Value: g, Problem: "not a glob", Fix: "use *, ? and [a-z]"})
			}
		}
	}
	for _, t := range f.Topics {
		p, err := ampybus.ParsePattern(t)
		if err != nil {
			faults = append(faults, fmt.Errorf("topics: %w", err))
		}
		m.topics = append(m.topics, p)
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		faults = append(faults, &ampybus.FieldError{Field: "until", Problem: "not after since", Fix: "the window is [since, until)"})
	}
	if f.Limit < 0 {
		faults = append(faults, &ampybus.FieldError{Field: "limit", Problem: "negative", Fix: "use 0 for no limit"})
	}
	if f.Where != "" {
		program, err := expr.Compile(f.Where, expr.Env(Letter{}), expr.AsBool())
		if err != nil {
			faults = append(faults, &ampybus.FieldError{Field: "where", Value: f.Where, Problem: "not a condition: " + firstLine(err), Fix: "write a condition such as retry_count < 2 && key == \"AAPL.XNAS\""})
		}
		m.where = program
	}
	return m, errors.Join(faults...)
}

func firstLine(err error) string {
	s := err.Error()
	for i, c := range s {
		if c == '\n' {
			return s[:i]
		}
	}
	return s
}

func (m *matcher) match(d *ampybus.DeadLetter) (bool, error) {
	l := letterOf(d)
	if !anyGlob(m.f.Reasons, l.Code) || !anyGlob(m.f.Keys, l.Key) || !anyGlob(m.f.Groups, l.Group) || !m.topic(l.Topic) {
		return false, nil
	}
	if !m.f.Since.IsZero() && l.DiedAt.Before(m.f.Since) || !m.f.Until.IsZero() && !l.DiedAt.Before(m.f.Until) {
		return false, nil
	}
	if m.where == nil {
		return true, nil
	}
	out, err := expr.Run(m.where, l)
	if err != nil {
		return false, fmt.Errorf("where: dead letter %s: %w", d.Origin(), err)
	}
	yes, _ := out.(bool)
	return yes, nil
}

func (m *matcher) topic(topic string) bool {
	for _, p := range m.topics {
		if p.Match(topic) {
			return true
		}
	}
	return len(m.topics) == 0
}

func anyGlob(globs []string, s string) bool {
	for _, g := range globs {
		if ok, _ := path.Match(g, s); ok {
			return true
		}
	}
	return len(globs) == 0
}
