package ampytest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Transport returns t with everything noted that a process proc stores through
// it and is delivered by it. Make the bus of the process over it:
//
//	bus := ampybus.New(h.Transport("oms-1", t), ampybus.Options{})
func (h *History) Transport(proc string, t driver.Transport) driver.Transport {
	return &transport{Transport: t, h: h, proc: proc}
}

type transport struct {
	driver.Transport
	h    *History
	proc string
}

func (t *transport) Publish(recs []driver.Record, settle func(i int, o driver.Outcome)) {
	t.Transport.Publish(recs, func(i int, o driver.Outcome) {
		t.settled(&recs[i], o)
		settle(i, o)
	})
}

// settled notes the broker's word on a record that the history is about.
func (t *transport) settled(r *driver.Record, o driver.Outcome) {
	head, _, _ := ampybus.DecodeHeaders(r.Headers)
	e := Event{
		Proc: t.proc, Op: OpStore, Phase: phaseOf(o.Err), Key: r.Key, ID: idOf(head, ""), As: r.ID,
		Log: o.Log, Pos: o.Pos, Hash: hash(r.Value),
	}
	switch {
	case head.DLQ.Group == t.h.group && t.h.pattern.Match(head.DLQ.Topic):
		e.Op, e.Origin, e.ID = OpDead, head.DLQ.Origin, idOf(head, head.DLQ.Origin)
	case !t.h.pattern.Match(r.Topic):
		return
	}
	if o.Duplicate {
		e.Text = "duplicate"
	}
	if o.Err != nil {
		e.Text = o.Err.Error()
	}
	t.h.Note(e)
}

func (t *transport) Open(ctx context.Context, c driver.GroupConfig) (driver.Source, error) {
	s, err := t.Transport.Open(ctx, c)
	if err != nil || c.Group != t.h.group {
		return s, err
	}
	w := &source{Source: s, h: t.h, proc: t.proc, events: make(chan driver.Event), quit: make(chan struct{})}
	go w.forward()
	if batch, ok := s.(driver.BatchCommitter); ok {
		return &batchSource{w, batch}, nil
	}
	return w, nil
}

// source notes what a member is told and what it commits.
type source struct {
	driver.Source
	h      *History
	proc   string
	events chan driver.Event
	quit   chan struct{}
	once   sync.Once
}

func (s *source) Events() <-chan driver.Event { return s.events }

func (s *source) Close(ctx context.Context) error {
	s.once.Do(func() { close(s.quit) })
	return s.Source.Close(ctx)
}

// forward hands events on, noting each before its receiver can act on it.
func (s *source) forward() {
	defer close(s.events)
	for ev := range s.Source.Events() {
		s.note(ev)
		select {
		case s.events <- ev:
		case <-s.quit:
			return
		}
	}
}

func (s *source) note(ev driver.Event) {
	e := Event{Proc: s.proc, Lane: ev.Lane, Epoch: ev.Epoch, Pos: ev.From, To: ev.To}
	switch ev.Kind {
	case driver.Assigned:
		e.Op = OpOwn
	case driver.Lost:
		e.Op = OpLost
	case driver.Gap:
		e.Op = OpGap
	case driver.Records:
		for i := range ev.Records {
			s.h.Note(s.delivered(ev, &ev.Records[i]))
		}
		return
	default:
		return
	}
	s.h.Note(e)
}

func (s *source) delivered(ev driver.Event, d *driver.Delivery) Event {
	head, _, _ := ampybus.DecodeHeaders(d.Headers)
	return Event{
		Proc: s.proc, Op: OpDeliver, Key: head.PartitionKey, ID: idOf(head, d.Origin()),
		Log: d.Log, Lane: ev.Lane, Epoch: ev.Epoch, Pos: d.Pos, Hash: hash(d.Value),
	}
}

func (s *source) Commit(ctx context.Context, lane string, epoch, low uint64) error {
	p := driver.Point{Lane: lane, Epoch: epoch, Low: low}
	s.asks(p)
	err := s.Source.Commit(ctx, lane, epoch, low)
	s.hears(p, err)
	return err
}

// batchSource is the source of a transport that commits several lanes at once.
type batchSource struct {
	*source
	batch driver.BatchCommitter
}

func (s *batchSource) CommitAll(ctx context.Context, points []driver.Point) []error {
	for _, p := range points {
		s.asks(p)
	}
	errs := s.batch.CommitAll(ctx, points)
	for i, p := range points {
		s.hears(p, errs[i])
	}
	return errs
}

func (s *source) asks(p driver.Point) {
	s.h.Note(Event{Proc: s.proc, Op: OpCommit, Phase: Invoke, Lane: p.Lane, Epoch: p.Epoch, Pos: p.Low})
}

func (s *source) hears(p driver.Point, err error) {
	e := Event{Proc: s.proc, Op: OpCommit, Phase: OK, Lane: p.Lane, Epoch: p.Epoch, Pos: p.Low}
	switch {
	case errors.Is(err, driver.ErrFenced):
		e.Phase, e.Text = Fail, "fenced"
	case err != nil:
		e.Phase, e.Text = Info, err.Error()
	}
	s.h.Note(e)
}

func idOf(h ampybus.Headers, origin string) string {
	if h.MessageID != "" {
		return h.MessageID
	}
	return origin
}

// hash is short: it tells payloads of one test apart, and nothing else.
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// headHash is over the headers that every copy of a message has in common.
func headHash(hs []driver.Header) string {
	var lines []string
	for _, h := range hs {
		switch {
		case h.Name == ampybus.HeaderTopic, h.Name == ampybus.HeaderPayloadHash,
			h.Name == ampybus.HeaderRawHeaders, strings.HasPrefix(h.Name, "dlq_"):
		default:
			lines = append(lines, h.Name+"\x00"+h.Value+"\x00")
		}
	}
	slices.Sort(lines)
	return hash([]byte(strings.Join(lines, "")))
}
