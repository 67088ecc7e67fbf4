package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// begin fixes the window from the stream's state when Read was called. A
// stream made later is read from its beginning.
func (k *track) begin(ctx context.Context, info *jetstream.StreamInfo, first bool) (err error) {
	c, state := k.r.c, info.State
	oldest := max(state.FirstSeq, 1)
	k.ends = !k.r.follows()
	if first {
		if k.last, err = k.newest(ctx, info); err != nil {
			return err
		}
	}
	from, given := c.From[k.stream]
	switch {
	case !first:
		k.due = 1
	case given:
		k.due = max(from, 1)
	case c.New:
		k.due = state.LastSeq + 1
	case !c.Start.IsZero():
		k.start = c.Start
	default:
		k.due = oldest
	}
	if given && k.due < oldest {
		to := oldest
		if k.ends {
			to = min(to, state.LastSeq+1)
		}
		if k.due < to {
			k.failed = &driver.GapError{Log: k.stream, From: k.due, To: to}
		}
		k.due = oldest
	}
	k.done = k.ends && (k.due > k.last || state.Msgs == 0)
	return nil
}

// newest is the position of the newest record that the track reads. The
// stream's leader must say so: a consumer may run where the end of the stream
// has not arrived yet, and then takes its own end for the stream's.
func (k *track) newest(ctx context.Context, info *jetstream.StreamInfo) (last uint64, err error) {
	if k.whole || info.State.Msgs == 0 {
		return info.State.LastSeq, nil
	}
	for _, f := range k.filters {
		pos, err := k.r.t.newestOn(ctx, k.stream, f)
		if errors.Is(err, driver.ErrPermission) {
			return info.State.LastSeq, nil // found again when the server has looked so far
		}
		if err != nil {
			return 0, err
		}
		last = max(last, pos)
	}
	return last, nil
}

// finish ends the track: what lies ahead is not in the window.
func (k *track) finish() {
	k.done = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	k.close(ctx)
}

// hole is nil unless positions before pos were passed over because they are
// gone. It asks until the server answers: without an answer nothing behind may
// be returned.
func (k *track) hole(ctx context.Context, pos uint64, sure bool) error {
	if k.due == 0 || pos == k.due || sure && !k.whole {
		return nil
	}
	info, err := k.r.t.streamInfo(ctx, k.stream)
	for err != nil {
		pause(ctx, retryWait)
		if ctx.Err() != nil || k.r.ctx.Err() != nil {
			return fmt.Errorf("read %s: %w", k.stream, err)
		}
		info, err = k.r.t.streamInfo(ctx, k.stream)
	}
	first := info.State.FirstSeq
	if first > k.due && (k.whole || first <= pos) {
		return &driver.GapError{Log: k.stream, From: k.due, To: min(first, pos)}
	}
	return nil
}

// atEnd finds the end of history where its last records are gone: nothing
// arrives any more that could tell.
func (k *track) atEnd(ctx context.Context) error {
	if k.inLiveTime() || time.Since(k.asked) < time.Second {
		return nil
	}
	if k.asked.IsZero() {
		k.asked = time.Now()
		return nil
	}
	k.asked = time.Now()
	looked := k.scanned()
	info, err := k.r.t.streamInfo(ctx, k.stream)
	if err != nil {
		return nil //nolint:nilerr // asked again
	}
	if info.State.FirstSeq > k.last {
		gap := &driver.GapError{Log: k.stream, From: max(k.due, 1), To: k.last + 1}
		k.due, k.done = gap.To, k.ends
		return gap
	}
	if looked > k.last { // its last records were deleted one by one
		k.due, k.done = k.last+1, k.ends
	}
	return nil
}

// inLiveTime reports that the track has left history behind.
func (k *track) inLiveTime() bool { return k.due > k.last }

// scanned is the position behind what the server has looked at, if all it
// found has arrived and was taken.
func (k *track) scanned() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.p == nil {
		return 0
	}
	scanned, idle := k.p.idle()
	if !idle {
		return 0
	}
	return scanned + 1
}
