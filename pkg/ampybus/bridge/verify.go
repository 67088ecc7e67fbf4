package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// VerifyConfig says what to compare. From, To and Pattern are required.
type VerifyConfig struct {
	From, To         driver.Transport
	FromName, ToName string
	Pattern          string
	Exclude          []string // as in Config
	// Start and End bound the window [Start, End) of the time at which the first
	// broker stored a record, which is the same on both sides. Zero: no bound.
	Start, End time.Time
	// Carried leaves out what the bridge does not carry: on the source what has
	// been on the target, on the target what was not taken from the source.
	Carried bool
	// Examples is how many differences of each kind to name. Zero: 10.
	Examples int
}

const defaultExamples = 10

// clockSlack is how far the clocks of two brokers may lie apart: a record is
// carried after it was stored, by one clock.
const clockSlack = 5 * time.Minute

// Verify compares what both brokers hold: each record by topic, key, headers
// and payload, and the order of each key. It leaves no trace on either, and
// closes nothing. It keeps about 250 bytes for each record of the source, 400
// where the target's bear no marks of a bridge; a window bounds that. What is
// stored meanwhile is not compared.
func Verify(ctx context.Context, c VerifyConfig) (*Report, error) {
	v := verification{c: c, report: Report{Count: make(map[Kind]uint64), most: c.Examples}}
	if v.report.most <= 0 {
		v.report.most = defaultExamples
	}
	var err error
	if v.pick, err = newSelection(c.Pattern, c.Exclude); err != nil {
		return nil, err
	}
	if v.ends, err = identify(ctx, c.From, c.To, ends{c.FromName, c.ToName}, false); err != nil {
		return nil, err
	}
	if err := v.bounds(ctx); err != nil {
		return nil, err
	}
	v.source = newIndex()
	if err := v.read(ctx, c.From, v.remember); err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	if err := v.read(ctx, c.To, v.compare); err != nil {
		return nil, fmt.Errorf("read the target: %w", err)
	}
	v.missing()
	return &v.report, nil
}

// verification is one Verify under way.
type verification struct {
	c      VerifyConfig
	pick   selection
	ends   ends
	logs   map[string]driver.LaneState // of the source
	source *index
	report Report
}

func (v *verification) bounds(ctx context.Context) error {
	logs, err := v.c.From.Lanes(ctx, "", v.c.Pattern)
	if err != nil {
		return fmt.Errorf("list what %s selects: %w", v.c.Pattern, err)
	}
	v.logs = make(map[string]driver.LaneState, len(logs))
	for _, l := range logs {
		v.logs[l.Log] = l
	}
	return nil
}

// read visits every record of one side that lies in the window.
func (v *verification) read(ctx context.Context, t driver.Transport, visit func(*driver.Delivery, *marks)) error {
	c := driver.ReadConfig{Pattern: v.c.Pattern}
	if !v.c.Start.IsZero() {
		c.Start = v.c.Start.Add(-clockSlack)
	}
	r, err := t.Read(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	for {
		ds, err := r.Next(ctx)
		var gap *driver.GapError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &gap):
			continue // what retention removed meanwhile is missing, or gone
		case err != nil:
			return err
		}
		for i := range ds {
			m := marksOf(&ds[i])
			if v.pick.excludes(ds[i].Topic) || m.storedAt.Before(v.c.Start) || !v.c.End.IsZero() && !m.storedAt.Before(v.c.End) {
				continue
			}
			visit(&ds[i], &m)
		}
	}
}

// remember notes a record of the source.
func (v *verification) remember(d *driver.Delivery, m *marks) {
	if v.c.Carried && m.been(v.ends.to) {
		return
	}
	v.report.From++
	v.source.add(d, m, digestOf(d, m.key))
}

// compare looks for a record of the target on the source.
func (v *verification) compare(d *driver.Delivery, m *marks) {
	taken, ok := v.takenFrom(m)
	if v.c.Carried && !ok {
		v.report.Own++
		return
	}
	sum := digestOf(d, m.key)
	if !ok {
		v.report.To++
		v.byContent(d, m, sum)
		return
	}
	e := v.source.at(taken)
	state, known := v.logs[taken.log]
	switch {
	case e == nil && known && taken.pos < state.First:
		v.report.Gone++
	case e == nil && (!known || taken.pos >= state.Next):
		v.report.Later++
	case e == nil:
		v.report.To++
		v.extra(d, m)
	case !e.matched:
		v.report.To++
		v.match(e, d, m, sum)
	case e.sum == sum:
		v.report.Repeated++
	case v.c.Carried: // redriven there: a new record of the message
		v.report.Own++
	default:
		v.report.To++
		v.extra(d, m)
	}
}

// takenFrom is the place on the source that a bridge took the record from.
func (v *verification) takenFrom(m *marks) (p place, ok bool) {
	for _, h := range m.hops {
		if h.Broker == v.ends.from {
			p.log, p.pos, ok = h.LogPos()
		}
	}
	return p, ok
}

// byContent looks for a record that no bridge has marked.
func (v *verification) byContent(d *driver.Delivery, m *marks, sum digest) {
	v.source.link()
	if e := v.source.same(sum); e != nil {
		v.match(e, d, m, sum)
		return
	}
	if e := v.source.message(d.Topic, messageID(d)); e != nil {
		v.match(e, d, m, sum)
		return
	}
	v.extra(d, m)
}

func (v *verification) match(e *entry, d *driver.Delivery, m *marks, sum digest) {
	e.matched = true
	diff := Difference{Topic: d.Topic, Key: m.key, MessageID: messageID(d), From: e.origin(), To: d.Origin()}
	late := !e.sequence.follows(e.ordinal)
	if late {
		diff.Kind = Reordered
		v.report.add(diff)
	}
	switch {
	case e.sum != sum:
		diff.Kind, diff.What = Changed, e.unlike(d, sum)
		v.report.add(diff)
	case !late:
		v.report.Same++
	}
}

func (v *verification) extra(d *driver.Delivery, m *marks) {
	v.report.add(Difference{Kind: Extra, Topic: d.Topic, Key: m.key, MessageID: messageID(d), To: d.Origin()})
}

// missing reports what of the source was not found.
func (v *verification) missing() {
	for _, e := range v.source.entries {
		if !e.matched {
			v.report.add(Difference{Kind: Missing, Topic: e.topic, Key: e.sequence.key, MessageID: e.messageID, From: e.origin()})
		}
	}
}
