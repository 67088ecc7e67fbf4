package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// nextRecords bounds what one Next returns.
	nextRecords = 1024
	// readerRound is how long a reader waits before it looks again whether the
	// log still begins where it is.
	readerRound = time.Second

	endless = math.MaxUint64
)

// reader reads partitions without a group. It implements driver.Reader; Next
// does all its work.
type reader struct {
	t      *Transport
	p      pattern
	c      driver.ReadConfig
	feed   *feed
	ctx    context.Context
	cancel context.CancelFunc
	turn   chan struct{} // holds one token: Next is one at a time

	tracks  map[place]*track
	order   []*track
	scanned time.Time
	once    sync.Once
}

// Read implements driver.Transport.
func (t *Transport) Read(ctx context.Context, c driver.ReadConfig) (driver.Reader, error) {
	p, err := parsePattern(c.Pattern)
	if err == nil {
		err = checkWindow(c)
	}
	if err == nil {
		err = t.ready(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", c.Pattern, err)
	}
	r := &reader{t: t, p: p, c: c, tracks: make(map[place]*track), turn: make(chan struct{}, 1)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if r.feed, err = newFeed(t.cfg, t.packer); err != nil {
		return nil, fmt.Errorf("read %s: %w", c.Pattern, err)
	}
	if err := r.scan(ctx, true); err != nil {
		r.feed.close()
		return nil, fmt.Errorf("read %s: %w", c.Pattern, err)
	}
	if !t.adopt(r) {
		r.feed.close()
		return nil, fmt.Errorf("read %s: %w", c.Pattern, driver.ErrClosed)
	}
	return r, nil
}

func checkWindow(c driver.ReadConfig) error {
	switch {
	case (c.Follow || c.New) && !c.End.IsZero():
		return fmt.Errorf("field End: a reader that follows has none: %w", driver.ErrConfig)
	case !c.End.IsZero() && !c.Start.IsZero() && c.End.Before(c.Start):
		return fmt.Errorf("field End: before Start: %w", driver.ErrConfig)
	}
	return nil
}

func (r *reader) follows() bool { return r.c.Follow || r.c.New }

// scan adds tracks for partitions that have none. first: they were there when
// Read was called.
func (r *reader) scan(ctx context.Context, first bool) error {
	r.scanned = time.Now()
	topics, err := r.t.covered(ctx, r.p)
	if err != nil || len(topics) == 0 {
		return err
	}
	b, err := r.bounds(ctx, topics)
	if err != nil {
		return requestError("find the window", err)
	}
	for _, p := range eachPlace(b.next) {
		if r.tracks[p] != nil {
			continue
		}
		k := r.window(p, b, first)
		r.tracks[p] = k
		r.order = append(r.order, k)
		if k.next < k.end {
			r.feed.start(p, k.next)
		}
	}
	return nil
}

// logBounds answers where logs begin and end, and where times lie in them.
type logBounds struct{ first, next, start, end kadm.ListedOffsets }

func (b logBounds) of(l kadm.ListedOffsets, p place) uint64 {
	o, _ := l.Lookup(p.topic, p.partition)
	return uint64(max(o.Offset, 0))
}

func (r *reader) bounds(ctx context.Context, topics []string) (b logBounds, err error) {
	at := func(t time.Time) func(context.Context, ...string) (kadm.ListedOffsets, error) {
		return func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return r.t.adm.ListOffsetsAfterMilli(ctx, millis(t), topics...)
		}
	}
	if b.first, err = r.t.listOffsets(ctx, r.t.adm.ListStartOffsets, topics...); err != nil {
		return b, err
	}
	if !r.c.Start.IsZero() {
		if b.start, err = r.t.listOffsets(ctx, at(r.c.Start), topics...); err != nil {
			return b, err
		}
	}
	if !r.c.End.IsZero() {
		if b.end, err = r.t.listOffsets(ctx, at(r.c.End), topics...); err != nil {
			return b, err
		}
	}
	b.next, err = r.t.listOffsets(ctx, r.t.adm.ListEndOffsets, topics...)
	return b, err
}

// Next implements driver.Reader.
func (r *reader) Next(ctx context.Context) ([]driver.Delivery, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		switch {
		case r.ctx.Err() != nil:
			return nil, fmt.Errorf("read %s: %w", r.c.Pattern, driver.ErrClosed)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("read %s: %w", r.c.Pattern, ctx.Err())
		}
		if out, err := r.merge(); err != nil || len(out) > 0 {
			return out, err
		}
		if !r.follows() && r.done() {
			return nil, io.EOF
		}
		r.fill(ctx)
	}
}

func (r *reader) done() bool {
	for _, k := range r.order {
		if !k.done() || k.held() > 0 {
			return false
		}
	}
	return true
}

// merge returns what can be returned now: in order of StoredAt as long as there
// is history to read; a track that has caught up holds nobody back.
func (r *reader) merge() ([]driver.Delivery, error) {
	var out []driver.Delivery
	for len(out) < nextRecords {
		k := r.oldest()
		if k == nil {
			break
		}
		if len(k.head) == 0 { // a gap
			if len(out) > 0 {
				break
			}
			gap := k.gap
			k.gap = nil
			return nil, gap
		}
		out = append(out, k.head[0])
		k.head = k.head[1:]
		if k.paused && k.held() <= readAhead/2 {
			k.paused = false
			r.feed.resume(k.place, k.next, r.othersWait(k))
		}
	}
	return out, nil
}

// othersWait reports that all tracks but k are at the end of what there is.
func (r *reader) othersWait(k *track) bool {
	for _, o := range r.order {
		if o != k && !o.paused && !o.caughtUp() {
			return false
		}
	}
	return true
}

// oldest is the track that comes next, nil when one with more history has
// nothing at hand.
func (r *reader) oldest() *track {
	var best *track
	for _, k := range r.order {
		if r.open(k); len(k.head) == 0 {
			if k.gap != nil {
				return k
			}
			if !k.done() && !k.caughtUp() {
				return nil
			}
			continue
		}
		if best == nil || k.head[0].StoredAt.Before(best.head[0].StoredAt) {
			best = k
		}
	}
	return best
}

// fill waits for records, for a while.
func (r *reader) fill(ctx context.Context) {
	if r.follows() && time.Since(r.scanned) >= r.t.cfg.discover {
		short, cancel := context.WithTimeout(ctx, readerRound)
		if err := r.scan(short, false); err != nil && ctx.Err() == nil && r.ctx.Err() == nil {
			r.t.log.Warn("kafka: reader cannot look for new topics", "pattern", r.c.Pattern, "error", err)
		}
		cancel()
	}
	ctx, cancel := context.WithTimeout(ctx, min(readerRound, r.t.cfg.discover))
	defer cancel()
	stop := context.AfterFunc(r.ctx, cancel)
	defer stop()
	r.repair(ctx)
	fs := r.feed.poll(ctx, func() bool { return true })
	fs.EachPartition(func(fp kgo.FetchTopicPartition) {
		if k := r.tracks[place{fp.Topic, fp.Partition}]; k != nil {
			r.take(k, fp.Records)
		}
	})
	for _, f := range fs.Errors() {
		if k := r.tracks[place{f.Topic, f.Partition}]; k != nil {
			k.failed = true
			if !errors.Is(f.Err, kerr.OffsetOutOfRange) {
				r.t.log.Warn("kafka: reader cannot fetch", "log", k.name, "error", f.Err)
			}
		}
	}
}

// repair goes on with tracks that the feed has stopped and that have nothing
// left: behind a gap where the log begins later by now.
func (r *reader) repair(ctx context.Context) {
	for _, k := range r.order {
		if !k.failed || ctx.Err() != nil || k.gap != nil || k.held() > 0 {
			continue
		}
		first, _, err := r.t.bounds(ctx, k.place)
		if err != nil {
			continue
		}
		k.failed = false
		if first > k.next {
			k.gap = &driver.GapError{Log: k.name, From: k.next, To: min(first, k.end)}
			k.next = k.gap.To
		}
		if k.next < k.end {
			r.feed.start(k.place, k.next)
		}
	}
}

// shut implements child.
func (r *reader) shut(context.Context) error { return r.Close() }

// Close ends the reader. It may be called twice.
func (r *reader) Close() error {
	r.once.Do(func() {
		r.cancel()
		r.t.release(r)
		r.turn <- struct{}{} // Next has returned
		r.feed.close()
		<-r.turn
	})
	return nil
}
