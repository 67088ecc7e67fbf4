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
	last  uint64    // newest record of history; what is behind is stored later
	ends  bool      // the window ends with history

	head   []driver.Delivery // ready to be returned
	rest   arrivals          // behind a gap
	failed error             // comes after head
	done   bool              // the window ends
	asked  time.Time         // when the stream was last asked about its state

	mu sync.Mutex
	p  *puller
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
	err := k.r.t.guard(ctx, "$JS.API.CONSUMER.", func(ctx context.Context) error {
		_, err := k.r.t.js.CreateConsumer(ctx, k.stream, c)
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
		p.handed()
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
		k.done = true
		k.r.lose(k)
		if k.ends {
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
	if !k.ends && k.due > info.State.LastSeq+1 {
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
		if k.ends && (d.Pos > k.last || !k.r.end.IsZero() && !d.StoredAt.Before(k.r.end)) {
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
		if k.ends && k.due > k.last {
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
