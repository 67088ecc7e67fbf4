package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// commitLoop commits what the target has, and sees when all is carried.
func (b *Bridge) commitLoop(ctx context.Context, stop <-chan struct{}) {
	tick := time.NewTicker(commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if ctx.Err() != nil {
			continue
		}
		round, cancel := context.WithTimeout(ctx, closeTimeout)
		b.commitAll(round)
		if b.goal != nil && b.caughtUp(round) {
			b.finish()
		}
		cancel()
	}
}

type commitPoint struct {
	l   *lane
	low uint64
}

func (b *Bridge) commitAll(ctx context.Context) {
	b.mu.Lock()
	var due []commitPoint
	for _, l := range b.lanes {
		if low := l.low(); low > l.committed {
			due = append(due, commitPoint{l, low})
		}
	}
	b.mu.Unlock()
	for _, c := range due {
		b.commit(ctx, c)
	}
}

func (b *Bridge) commit(ctx context.Context, c commitPoint) {
	err := b.src.Commit(ctx, c.l.name, c.l.epoch, c.low)
	switch {
	case err == nil:
		b.mu.Lock()
		c.l.committed = max(c.l.committed, c.low)
		b.mu.Unlock()
	case errors.Is(err, driver.ErrFenced):
		b.lose(c.l.name, c.l.epoch)
		b.notice(ampybus.Notice{Kind: ampybus.NoticeLost, Lane: c.l.name, Text: "fenced at commit", Err: err})
	default:
		b.notice(ampybus.Notice{Kind: ampybus.NoticeCommitFailed, Lane: c.l.name, Text: "commit failed; trying again", Err: err})
	}
}

// giveAway finishes a lane that another process is to get.
func (b *Bridge) giveAway(ev driver.Event) {
	defer ev.Done()
	b.mu.Lock()
	l := b.lanes[ev.Lane]
	if l == nil || l.epoch != ev.Epoch {
		b.mu.Unlock()
		return
	}
	l.stopped = true
	b.mu.Unlock()
	b.drain(drainTimeout, func() bool { return len(l.open) == 0 || b.lanes[ev.Lane] != l })
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	b.mu.Lock()
	low, due := l.low(), l.low() > l.committed
	b.mu.Unlock()
	if due {
		b.commit(ctx, commitPoint{l, low})
	}
	b.lose(ev.Lane, ev.Epoch)
}

// Behind counts the records that the group has not finished; some brokers count
// those of other topics too.
func (b *Bridge) Behind(ctx context.Context) (n uint64, err error) {
	lanes, err := b.c.From.Lanes(ctx, b.Group(), b.c.Pattern)
	for _, l := range lanes {
		n += l.Pending
	}
	return n, err
}

// logEnds tells where the logs that have something for the bridge end.
func (b *Bridge) logEnds(ctx context.Context) (map[string]uint64, error) {
	logs, err := b.c.From.Lanes(ctx, "", b.c.Pattern)
	if err != nil {
		return nil, fmt.Errorf("list what %s selects: %w", b.c.Pattern, err)
	}
	at := make(map[string]uint64, len(logs))
	for _, l := range logs {
		if l.Pending > 0 {
			at[l.Log] = l.Next
		}
	}
	return at, nil
}

// caughtUp reports that the group has finished what was there at the beginning.
func (b *Bridge) caughtUp(ctx context.Context) bool {
	lanes, err := b.c.From.Lanes(ctx, b.c.Group, b.c.Pattern)
	if err != nil {
		return false
	}
	done := make(map[string]bool, len(lanes))
	from := make(map[string]uint64, len(lanes))
	for _, l := range lanes {
		done[l.Log] = l.Pending == 0 || l.Committed >= b.goal[l.Log]
		from[l.Log] = l.Committed
	}
	for log := range b.goal {
		if !done[log] {
			return b.Stats().InFlight == 0 && b.nothingLeft(ctx, from)
		}
	}
	return true
}

// nothingLeft looks whether what is pending is for the bridge: some brokers
// count what the pattern does not select.
func (b *Bridge) nothingLeft(ctx context.Context, from map[string]uint64) bool {
	r, err := b.c.From.Read(ctx, driver.ReadConfig{Pattern: b.c.Pattern, Start: b.c.Start, From: from})
	if err != nil {
		return false
	}
	defer func() { _ = r.Close() }()
	for {
		ds, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return true
		}
		var gap *driver.GapError
		if err != nil && !errors.As(err, &gap) {
			return false
		}
		for i := range ds {
			if ds[i].Pos < b.goal[ds[i].Log] {
				return false
			}
		}
	}
}
