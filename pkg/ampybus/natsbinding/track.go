package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// track is a reader's way through one stream. All but p belongs to Next.
type track struct {
	r        *reader
	stream   string
	consumer string
	filters  []string
	whole    bool // reads all of the stream's subjects

	start time.Time // where it begins, while due is 0
	due   uint64    // next position expected
	end   uint64    // positions from here on are not in the window; 0: none

	head     []driver.Delivery // ready to be returned
	rest     arrivals          // behind a gap
	failed   error             // comes after head
	caughtUp bool              // nothing lies behind what was returned
	done     bool              // the window ends
	asked    time.Time         // when the stream was last asked about its state

	mu sync.Mutex
	p  *puller
}

// begin fixes the window from the stream's state when Read was called. A
// stream made later is read from its beginning.
func (k *track) begin(info *jetstream.StreamInfo, first bool) {
	c, state := k.r.c, info.State
	oldest := max(state.FirstSeq, 1)
	if !k.r.follows() {
		k.end = state.LastSeq + 1
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
		if k.end > 0 {
			to = min(to, k.end)
		}
		if k.due < to {
			k.failed = &driver.GapError{Log: k.stream, From: k.due, To: to}
		}
		k.due = oldest
	}
	k.done = k.end > 0 && (k.due >= k.end || state.Msgs == 0)
}

// open makes the consumer on the server, at the position that is due.
func (k *track) open(ctx context.Context) error {
	if k.done {
		return nil
	}
	c := jetstream.ConsumerConfig{
		Name: "ampy_read_" + nuid.Next(), Metadata: madeBy,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: readerGone,
	}
	if len(k.filters) == 1 {
		c.FilterSubject = k.filters[0]
	} else {
		c.FilterSubjects = k.filters
	}
	if k.due > 0 {
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, k.due
	} else {
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &k.start
	}
	var info *jetstream.ConsumerInfo
	err := k.r.t.guard(ctx, "$JS.API.CONSUMER.", func(ctx context.Context) error {
		made, err := k.r.t.js.CreateConsumer(ctx, k.stream, c)
		if err == nil {
			info = made.CachedInfo()
		}
		return err
	})
	if err != nil {
		return requestError("make reader of "+k.stream, err)
	}
	p, err := newPuller(k.r.t, pullConfig{
		stream: k.stream, consumer: c.Name, wake: k.r.wake,
		batch: readerPull, expires: readerExpiry, heartbeat: maxHeartbeat,
	})
	if err != nil {
		return err
	}
	k.caughtUp = info.NumPending == 0
	k.done = k.caughtUp && k.end > 0
	k.mu.Lock()
	k.consumer, k.p = c.Name, p
	k.mu.Unlock()
	if k.r.ctx.Err() != nil { // closed meanwhile
		k.close(ctx)
		return driver.ErrClosed
	}
	p.allow(readerBuffer)
	return nil
}

// fill brings records to the head if there are any. An error is returned once.
func (k *track) fill(ctx context.Context) error {
	if len(k.head) > 0 {
		return nil
	}
	if k.failed != nil {
		err := k.failed
		k.failed = nil
		return err
	}
	if len(k.rest.records) > 0 {
		return k.accept(ctx, k.rest)
	}
	if k.done {
		return nil
	}
	as, err := k.take()
	switch {
	case err != nil:
		return k.reopen(ctx)
	case len(as.records) > 0:
		return k.accept(ctx, as)
	}
	return k.atEnd(ctx)
}

func (k *track) take() (arrivals, error) {
	k.mu.Lock()
	p := k.p
	k.mu.Unlock()
	if p == nil {
		return arrivals{}, errNoConsumer
	}
	p.check(time.Now())
	as, err := p.take()
	if err == nil {
		p.allow(readerBuffer)
	}
	return as, err
}

// reopen goes on at the due position after the consumer was lost. While the
// server cannot be reached it waits a moment, and is called again.
func (k *track) reopen(ctx context.Context) error {
	k.close(ctx)
	err := k.resume(ctx)
	switch {
	case err == nil, ctx.Err() != nil, k.r.ctx.Err() != nil:
	case errors.Is(err, driver.ErrUnavailable):
		pause(ctx, retryWait)
	case errors.Is(err, driver.ErrNoLog), errors.Is(err, jetstream.ErrStreamNotFound):
		k.done, k.caughtUp = true, true
		k.r.lose(k)
		if k.end > 0 {
			return fmt.Errorf("read %s: %w: the stream was deleted", k.stream, driver.ErrNoLog)
		}
	default:
		return fmt.Errorf("read %s: %w", k.stream, err)
	}
	return nil //nolint:nilerr // the reader waits, or ends, for what it is not told here
}

// resume opens the track again. A stream that ends before the due position is
// another one, or has lost its end: following goes on at its beginning.
func (k *track) resume(ctx context.Context) error {
	info, err := k.r.t.streamInfo(ctx, k.stream)
	if err != nil {
		return err
	}
	if k.end == 0 && k.due > info.State.LastSeq+1 {
		k.due = max(info.State.FirstSeq, 1)
	}
	return k.open(ctx)
}

// accept puts arrivals into the head, up to the window's end or a gap.
func (k *track) accept(ctx context.Context, as arrivals) error {
	k.rest = arrivals{}
	ds, n := as.records, 0
	for i := range ds {
		d, about := &ds[i], as.notes[i]
		if d.Pos < k.due {
			continue
		}
		if k.end > 0 && (d.Pos >= k.end || !k.r.end.IsZero() && !d.StoredAt.Before(k.r.end)) {
			k.finish()
			break
		}
		if err := k.hole(ctx, d.Pos, about.sure); err != nil {
			k.rest = arrivals{records: slices.Clone(ds[i:]), notes: as.notes[i:]}
			return k.interrupted(ds[:n:n], err)
		}
		k.due = d.Pos + 1
		if n < i {
			ds[n] = *d
		}
		n++
		k.caughtUp = about.behind == 0
		if k.end > 0 && (k.caughtUp || k.due >= k.end) {
			k.finish()
			break
		}
	}
	k.head = ds[:n:n]
	return nil
}

// interrupted keeps what came before err in the head. A gap follows it; any
// other error is found again.
func (k *track) interrupted(head []driver.Delivery, err error) error {
	k.head = head
	var gap *driver.GapError
	isGap := errors.As(err, &gap)
	if isGap {
		k.due = gap.To
	}
	if len(head) == 0 {
		return err
	}
	if isGap {
		k.failed = gap
	}
	return nil
}

// finish ends the track: what lies ahead is not in the window.
func (k *track) finish() {
	k.done, k.caughtUp = true, true
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

// atEnd finds the end of a window whose last records are gone: nothing arrives
// any more that could tell.
func (k *track) atEnd(ctx context.Context) error {
	if k.end == 0 || time.Since(k.asked) < time.Second {
		return nil
	}
	if k.asked.IsZero() {
		k.asked = time.Now()
		return nil
	}
	k.asked = time.Now()
	info, err := k.r.t.streamInfo(ctx, k.stream)
	if err == nil && info.State.FirstSeq >= k.end {
		due := k.due
		k.finish()
		if due > 0 && due < k.end {
			k.due = k.end
			return &driver.GapError{Log: k.stream, From: due, To: k.end}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.p != nil {
		if scanned, _, idle := k.p.idle(); idle && scanned+1 >= k.end {
			k.done, k.caughtUp = true, true
		}
	}
	return nil
}

// all returns the head and clears it.
func (k *track) all() []driver.Delivery {
	ds := k.head
	k.head = nil
	return ds
}

func (k *track) interrupt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.p != nil {
		k.p.interrupt()
	}
}

// close removes the consumer. The track can be opened again.
func (k *track) close(ctx context.Context) {
	k.mu.Lock()
	p, name := k.p, k.consumer
	k.p = nil
	k.mu.Unlock()
	if p == nil {
		return
	}
	p.close()
	// Best effort: the server forgets it by itself after readerGone.
	_ = k.r.t.guard(ctx, "$JS.API.CONSUMER.DELETE", func(ctx context.Context) error {
		return k.r.t.js.DeleteConsumer(ctx, k.stream, name)
	})
}
