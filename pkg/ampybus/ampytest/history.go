package ampytest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// History is what happened to the messages of one pattern and one group:
// publishes, deliveries, effects, dead letters, commits. It is safe for
// concurrent use.
type History struct {
	pattern ampybus.Pattern
	group   string

	mu     sync.Mutex
	events []Event
}

// NewHistory returns an empty history of what group does with the messages of
// pattern. It fails on an illegal pattern.
func NewHistory(pattern, group string) (*History, error) {
	p, err := ampybus.ParsePattern(pattern)
	if err != nil {
		return nil, fmt.Errorf("make history: %w", err)
	}
	return &History{pattern: p, group: group}, nil
}

// Note adds an event; a zero At becomes now.
func (h *History) Note(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.At.IsZero() {
		e.At = time.Now()
	}
	h.events = append(h.events, e)
}

// Events returns a copy of what happened so far, in order.
func (h *History) Events() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// Count is the number of events that match selects.
func (h *History) Count(match func(Event) bool) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for i := range h.events {
		if match(h.events[i]) {
			n++
		}
	}
	return n
}

// Effect notes that m took effect in process proc. Call it where the effect
// becomes visible to others: inside the transaction, not behind it.
func (h *History) Effect(proc string, m *ampybus.Message) {
	h.Note(Event{
		Proc: proc, Op: OpEffect, Phase: OK, Key: m.Headers.PartitionKey, ID: idOf(m.Headers, m.Origin()),
		Log: m.Log, Lane: m.Lane, Epoch: m.Epoch, Pos: m.Pos, Hash: hash(m.Record.Value),
	})
}

// ExpectDead notes that a message is poison: it must become a dead letter.
func (h *History) ExpectDead(e ampybus.Envelope) {
	h.Note(Event{Op: OpExpect, Key: e.Headers.PartitionKey, ID: e.Headers.MessageID})
}

// Publish publishes e on b and notes the call and its outcome.
func (h *History) Publish(ctx context.Context, b *ampybus.Bus, e ampybus.Envelope) error {
	h.Note(call(e))
	err := b.Publish(ctx, e.Topic, e.Headers, e.Payload)
	h.Note(word(e, err))
	return err
}

// PublishAsync is Publish for Bus.PublishAsync. done may be nil.
func (h *History) PublishAsync(b *ampybus.Bus, e ampybus.Envelope, done func(error)) {
	h.Note(call(e))
	b.PublishAsync(e, func(err error) {
		h.Note(word(e, err))
		if done != nil {
			done(err)
		}
	})
}

func call(e ampybus.Envelope) Event {
	id := e.Headers.MessageID
	return Event{Op: OpPublish, Phase: Invoke, Key: e.Headers.PartitionKey, ID: id, As: id}
}

func word(e ampybus.Envelope, err error) Event {
	ev := call(e)
	ev.Phase = phaseOf(err)
	if err != nil {
		ev.Text = err.Error()
	}
	return ev
}

// phaseOf classifies the outcome of a publish.
func phaseOf(err error) Phase {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ampybus.ErrUncertain):
		return Info
	}
	return Fail
}

// WriteJSON writes the events, one JSON object a line.
func (h *History) WriteJSON(w io.Writer) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for _, e := range h.Events() {
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
	}
	return b.Flush()
}

// ReadJSON adds events that WriteJSON wrote, for example in another process,
// and sorts all by time. A torn last line, of a process that was killed, ends
// the reading.
func (h *History) ReadJSON(r io.Reader) error {
	dec := json.NewDecoder(r)
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		var e Event
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read history: %w", err)
		}
		h.events = append(h.events, e)
	}
	slices.SortStableFunc(h.events, func(a, b Event) int { return a.At.Compare(b.At) })
	return nil
}
