package ampytest

import (
	"context"
	"errors"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Collect reads what the broker holds at the end: the records of the history's
// pattern, and the group's dead letters. Check needs it to know what must have
// been applied.
func (h *History) Collect(ctx context.Context, b *ampybus.Bus) error {
	err := h.collect(ctx, b, h.pattern.String(), func(m *ampybus.Message) {
		h.Note(Event{
			Op: OpHold, Key: m.Headers.PartitionKey, ID: idOf(m.Headers, m.Origin()),
			Log: m.Log, Pos: m.Pos, Hash: hash(m.Record.Value), Head: headHash(m.Record.Headers),
		})
	})
	if err != nil {
		return err
	}
	envs := make(map[string]bool)
	for _, s := range h.pattern.Scopes() {
		if envs[s.Env] {
			continue
		}
		envs[s.Env] = true
		if err := h.collect(ctx, b, "ampy."+s.Env+".dlq.v1.>", h.letter); err != nil {
			return err
		}
	}
	return nil
}

func (h *History) letter(m *ampybus.Message) {
	info := m.Headers.DLQ
	if info.Group != h.group || !h.pattern.Match(info.Topic) {
		return
	}
	h.Note(Event{
		Op: OpLetter, Key: m.Headers.PartitionKey, ID: idOf(m.Headers, info.Origin), Origin: info.Origin,
		Log: m.Log, Pos: m.Pos, Hash: hash(m.Record.Value), Head: headHash(m.Record.Headers), Text: info.Reason,
	})
}

// collect calls f with every record of pattern. Messages that break the
// contract count too; a gap is what Check looks for.
func (h *History) collect(ctx context.Context, b *ampybus.Bus, pattern string, f func(*ampybus.Message)) error {
	for m, err := range b.Read(ctx, ampybus.Range{Pattern: pattern}) {
		var gap *driver.GapError
		switch {
		case m != nil:
			f(m)
		case errors.As(err, &gap):
		default:
			return fmt.Errorf("collect history: %w", err)
		}
	}
	return nil
}
