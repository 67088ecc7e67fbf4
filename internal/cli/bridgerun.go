package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/bridge"
)

func (a *app) runBridge(cmd *cobra.Command, f *bridgeFlags, c bridge.Config) error {
	if _, err := bridge.New(c); err != nil {
		return err
	}
	var err error
	if c.From, c.To, err = f.ends.connect(a, cmd); err != nil {
		return err
	}
	c.Observer = logObserver{a.logger}
	c.OnRefused = func(r bridge.Refusal) {
		fmt.Fprintf(a.err, "[bridge] refused topic=%s origin=%s msg_id=%s: %s\n",
			terminal.Field(r.Topic), terminal.Field(r.Origin), terminal.Field(r.MessageID), terminal.Escape(r.Err.Error()))
	}
	b, err := bridge.New(c)
	if err != nil {
		return err
	}
	if f.preview {
		stats, err := b.Preview(cmd.Context())
		return errors.Join(err, a.showBridge(b.Group(), stats, true), wholeness(stats))
	}
	stop := a.reportBridge(cmd.Context(), b, f.progress)
	err = b.Run(cmd.Context())
	stop()
	if b.Group() != "" {
		err = errors.Join(err, a.showBridge(b.Group(), b.Stats(), false))
	}
	return endOfBridge(cmd.Context(), b, f, err)
}

// endOfBridge decides what it means that the bridge has ended.
func endOfBridge(ctx context.Context, b *bridge.Bridge, f *bridgeFlags, err error) error {
	var refused *bridge.RefusedError
	switch stats := b.Stats(); {
	case errors.As(err, &refused):
		return exitf(ExitRefused, "the target does not take a message, and nothing behind it was carried: %w; mend the cause, or --pass-refused", refused)
	case err != nil:
		return err
	case (f.once || f.max.value > 0) && !b.Done() && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return exitf(ExitTimeout, "not finished after %d messages; the next run goes on", stats.Forwarded)
	case (f.once || f.max.value > 0) && !b.Done():
		return exitf(ExitPartial, "stopped after %d messages; the next run goes on", stats.Forwarded)
	default:
		return wholeness(stats)
	}
}

func wholeness(s bridge.Stats) error {
	if s.Whole() {
		return nil
	}
	return exitf(ExitPartial, "not carried: %d messages that the target does not take, %d positions that the source no longer held", s.Refused, s.Lost)
}

// reportBridge prints progress until stop is called.
func (a *app) reportBridge(ctx context.Context, b *bridge.Bridge, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			behind := "?"
			if n, err := b.Behind(ctx); err == nil {
				behind = fmt.Sprint(n)
			}
			s := b.Stats()
			fmt.Fprintf(a.err, "[bridge] group=%s forwarded=%d repeated=%d returned=%d refused=%d in_flight=%d behind=%s\n",
				terminal.Field(b.Group()), s.Forwarded, s.Repeated, s.Returned, s.Refused, s.InFlight, behind)
		}
	}()
	return func() { cancel(); <-ended }
}

// bridgeDoc is what a bridge did, as JSON.
type bridgeDoc struct {
	Group     string `json:"group"`
	DryRun    bool   `json:"dry_run"`
	Forwarded uint64 `json:"forwarded"`
	Repeated  uint64 `json:"repeated"`
	Returned  uint64 `json:"returned"`
	Excluded  uint64 `json:"excluded"`
	Refused   uint64 `json:"refused"`
	Bytes     uint64 `json:"bytes"`
	Gaps      uint64 `json:"gaps"`
	Lost      uint64 `json:"lost_positions"`
	InFlight  int    `json:"unacknowledged"`
}

func (a *app) showBridge(group string, s bridge.Stats, preview bool) error {
	d := bridgeDoc{group, preview, s.Forwarded, s.Repeated, s.Returned, s.Excluded, s.Refused, s.Bytes, s.Gaps, s.Lost, s.InFlight}
	if a.output == formatJSON {
		return a.printJSON(d)
	}
	word := "forwarded"
	if preview {
		word = "would forward"
	}
	_, err := fmt.Fprintf(a.out, "group: %s\n%s: %d (%d bytes of payload)\nrepeated: %d\nreturned: %d\nexcluded: %d\nrefused: %d\ngaps: %d (%d positions)\n",
		terminal.Escape(group), word, s.Forwarded, s.Bytes, s.Repeated, s.Returned, s.Excluded, s.Refused, s.Gaps, s.Lost)
	if s.InFlight > 0 {
		_, err = fmt.Fprintf(a.out, "unacknowledged: %d; the next run carries them again\n", s.InFlight)
	}
	return err
}
