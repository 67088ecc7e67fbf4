package natsbinding

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// readerPull is large: it is bounded by bytes anyway.
	readerPull = 20_000
	// readerBuffer bounds the records of one stream that wait to be read.
	readerBuffer = 20_000
	readerExpiry = 10 * time.Second
	// readerGone is how long the server keeps a reader that disappeared.
	readerGone = 30 * time.Second
	// electionWait is how long a new reader asks again in a cluster that is
	// between two leaders: an election there took up to 7.4 s, and a question that
	// nobody hears costs apiTimeout, in the election of the cluster's leader and
	// again in that of the stream's.
	electionWait = 15 * time.Second
	// nextRecords bounds what one Next returns.
	nextRecords = 1024
)

// reader merges the tracks of several streams.
type reader struct {
	t      *Transport
	c      driver.ReadConfig
	end    time.Time // zero: by position alone
	wake   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	once   sync.Once

	mu     sync.Mutex
	tracks []*track
	names  map[string]bool
	found  []*track // made while following, not merged yet
}

// Read implements driver.Transport. Its consumers live in the server's memory
// and vanish with the reader.
func (t *Transport) Read(ctx context.Context, c driver.ReadConfig) (driver.Reader, error) {
	if t.isClosed() {
		return nil, fmt.Errorf("read %s: %w", c.Pattern, driver.ErrClosed)
	}
	if err := checkWindow(c); err != nil {
		return nil, fmt.Errorf("read %q: %w", c.Pattern, err)
	}
	r := &reader{t: t, c: c, end: c.End, wake: make(chan struct{}, 1), names: make(map[string]bool)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	err := r.addAll(ctx, true)
	for began := time.Now(); ctx.Err() == nil && t.leaderless(err) && time.Since(began) < electionWait; err = r.addAll(ctx, true) {
		pause(ctx, retryWait)
	}
	if err == nil && !t.adopt(r) {
		err = driver.ErrClosed
	}
	if err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("read %s: %w", c.Pattern, err)
	}
	if r.follows() {
		r.work.Go(r.watchStreams)
	}
	return r, nil
}

func checkWindow(c driver.ReadConfig) error {
	switch {
	case (c.Follow || c.New) && !c.End.IsZero():
		return fmt.Errorf("%w: End: a reader that follows has none", driver.ErrConfig)
	case !c.End.IsZero() && !c.Start.IsZero() && c.End.Before(c.Start):
		return fmt.Errorf("%w: End: before Start", driver.ErrConfig)
	}
	return checkPattern(c.Pattern)
}

func (r *reader) follows() bool { return r.c.Follow || r.c.New }

// addAll begins to read the streams that are there and not read yet.
func (r *reader) addAll(ctx context.Context, first bool) error {
	infos, err := r.t.overlapping(ctx, r.c.Pattern)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if err := r.add(ctx, info, first); err != nil {
			return err
		}
	}
	return nil
}

// add begins to read a stream. first: it was there when Read was called.
func (r *reader) add(ctx context.Context, info *jetstream.StreamInfo, first bool) error {
	name := info.Config.Name
	fs := filters(info.Config.Subjects, r.c.Pattern)
	r.mu.Lock()
	known := r.names[name]
	r.mu.Unlock()
	if known || len(fs) == 0 {
		return nil
	}
	k := &track{r: r, stream: name, filters: fs, whole: sameStrings(fs, info.Config.Subjects)}
	if err := k.begin(ctx, info, first); err != nil {
		return err
	}
	if err := k.open(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[name] = true
	if first {
		r.tracks = append(r.tracks, k)
		return nil
	}
	r.found = append(r.found, k)
	r.signal()
	return nil
}

// lose forgets a stream that was deleted, so that one made again is found.
func (r *reader) lose(k *track) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.names, k.stream)
}

func (r *reader) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// watchStreams finds streams made while following.
func (r *reader) watchStreams() {
	look := make(chan struct{}, 1)
	sub, err := r.t.nc.Subscribe("$JS.EVENT.ADVISORY.STREAM.CREATED.>", func(*nats.Msg) {
		select {
		case look <- struct{}{}:
		default:
		}
	})
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }()
	}
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
		case <-look:
		}
		if err := r.addAll(r.ctx, false); err != nil && r.ctx.Err() == nil {
			r.t.log.Warn("nats: reader cannot look for new streams", "pattern", r.c.Pattern, "error", err)
		}
	}
}

// Next implements driver.Reader.
func (r *reader) Next(ctx context.Context) ([]driver.Delivery, error) {
	for {
		if r.ctx.Err() != nil {
			return nil, fmt.Errorf("read %s: %w", r.c.Pattern, driver.ErrClosed)
		}
		r.mu.Lock()
		r.tracks = append(r.tracks, r.found...)
		r.found = nil
		r.mu.Unlock()
		out, err := r.merge(ctx)
		if err != nil || len(out) > 0 {
			return out, err
		}
		if !r.follows() && r.done() {
			return nil, io.EOF
		}
		timer := time.NewTimer(readerExpiry / 10)
		select {
		case <-r.wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-r.ctx.Done():
		}
		timer.Stop()
	}
}

func (r *reader) done() bool {
	for _, k := range r.tracks {
		if !k.done || len(k.head) > 0 {
			return false
		}
	}
	return true
}

// merge returns what can be returned now: history in order of StoredAt. A track
// that has left history behind holds nobody back.
func (r *reader) merge(ctx context.Context) ([]driver.Delivery, error) {
	for _, k := range r.tracks {
		if err := k.fill(ctx); err != nil {
			return nil, err
		}
	}
	if len(r.tracks) == 1 {
		return r.tracks[0].all(), nil
	}
	var out []driver.Delivery
	for len(out) < nextRecords {
		k := r.oldest()
		if k == nil {
			break
		}
		out = append(out, k.head[0])
		k.head = k.head[1:]
		if len(k.head) == 0 {
			if err := k.fill(ctx); err != nil {
				// What is in hand comes first; the track keeps the error.
				k.failed = err
			}
		}
	}
	return out, nil
}

// oldest is the track whose next record was stored first; nil when a track that
// is still in history has nothing at hand.
func (r *reader) oldest() *track {
	var best *track
	for _, k := range r.tracks {
		if len(k.head) == 0 {
			if k.failed != nil || !k.done && !k.inLiveTime() {
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

// resync implements child: what was under way may be lost.
func (r *reader) resync() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range append(r.tracks[:len(r.tracks):len(r.tracks)], r.found...) {
		k.interrupt()
	}
}

// shut implements child.
func (r *reader) shut(context.Context) error { return r.Close() }

// Close ends the reader and removes what it has on the server.
func (r *reader) Close() error {
	r.once.Do(func() {
		r.cancel()
		r.work.Wait()
		r.t.release(r)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r.mu.Lock()
		all := append(r.tracks[:len(r.tracks):len(r.tracks)], r.found...)
		r.mu.Unlock()
		for _, k := range all {
			k.close(ctx)
		}
	})
	return nil
}
