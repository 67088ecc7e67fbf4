package bench

import (
	"context"
	"fmt"
	"time"
)

// Mode is what a run measures.
type Mode string

// The modes of a run.
const (
	Publish  Mode = "publish"
	Consume  Mode = "consume"
	Read     Mode = "read"
	EndToEnd Mode = "end-to-end"
)

// Work is what both sides of a comparison do.
type Work struct {
	Mode Mode
	Load Load
	// Callers publish and wait for the broker's word. Zero: nobody waits.
	Callers int
	// Batch is how many messages a caller hands over at once. Zero: one.
	Batch int
	// From is when the messages to consume or read were stored.
	From time.Time
}

// Store publishes what a run is to consume or read, and notes when. Work that
// publishes by itself is left as it is.
func (w *Work) Store(ctx context.Context, bus Bus) error {
	if w.Mode != Consume && w.Mode != Read {
		return nil
	}
	w.From = time.Now()
	r, err := Run(ctx, "bus", bus, w.Load)
	switch {
	case err != nil:
		return err
	case r.Err != nil:
		return r.Err
	case r.Published < w.Load.Count:
		return fmt.Errorf("stopped after %d of %d messages: %w", r.Published, w.Load.Count, context.Cause(ctx))
	}
	return nil
}

// Run does the work with c, once.
func (w Work) Run(ctx context.Context, name string, c Client) (*Result, error) {
	r, err := w.run(ctx, name, c)
	if r != nil {
		r.Work = w
	}
	return r, err
}

func (w Work) run(ctx context.Context, name string, c Client) (*Result, error) {
	switch {
	case w.Mode == Consume:
		return RunConsume(ctx, name, c, w.Load, w.From)
	case w.Mode == Read:
		return RunRead(ctx, name, c, w.Load, w.From)
	case w.Mode == EndToEnd:
		return RunEndToEnd(ctx, name, c, w.Load)
	case w.Batch > 0:
		return RunBatches(ctx, name, c, w.Load, w.Batch, max(w.Callers, 1))
	case w.Callers > 0:
		return RunCallers(ctx, name, c, w.Load, w.Callers)
	}
	return Run(ctx, name, c, w.Load)
}
