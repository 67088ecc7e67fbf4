package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// log is a stream as the publisher sees it.
type log struct {
	name string
	// ids: publishes carry Nats-Msg-Id. On an adopted stream they do not: its
	// other users copy all headers into their dead letters, and the broker
	// would take those for repeats.
	ids bool
	// expect is set when nobody could tell whether the stream is ours: the
	// server then checks the name with each publish.
	expect string
	batch  batchKind
}

// logTable finds the stream of a topic, making it on first use.
type logTable struct {
	t      *Transport
	known  atomic.Pointer[map[string]*log] // by scope
	pieces *pieces                         // of scopes that no stream holds whole

	mu      sync.Mutex
	finding map[string]*finding
	told    map[string]bool
}

// finding is a lookup that several publishers wait for.
type finding struct {
	done chan struct{}
	log  *log
	err  error
}

func newLogTable(t *Transport) *logTable {
	lt := &logTable{t: t, pieces: newPieces(), finding: make(map[string]*finding), told: make(map[string]bool)}
	lt.known.Store(&map[string]*log{})
	return lt
}

// lookup is the topic's log if it is known already.
func (lt *logTable) lookup(topic string) *log {
	if l, ok := (*lt.known.Load())[lt.t.cfg.Layout.Scope(topic)]; ok {
		return l
	}
	return lt.pieces.lookup(topic)
}

// find returns the topic's log, asking the server and making the stream if
// there is none.
func (lt *logTable) find(ctx context.Context, topic string) (*log, error) {
	if l := lt.lookup(topic); l != nil {
		return l, nil
	}
	key := lt.t.cfg.Layout.Scope(topic)
	if key == "" {
		key = topic
	}
	lt.mu.Lock()
	f, running := lt.finding[key]
	if !running {
		f = &finding{done: make(chan struct{})}
		lt.finding[key] = f
		go lt.run(f, key, topic)
	}
	lt.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("find the stream of %s: %w: %w", topic, driver.ErrUnavailable, ctx.Err())
	}
	if f.err == nil && f.log == nil {
		return lt.findPiece(ctx, topic)
	}
	return f.log, f.err
}

func (lt *logTable) run(f *finding, key, topic string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*apiTimeout)
	defer cancel()
	f.log, f.err = lt.findScope(ctx, lt.t.cfg.Layout.Scope(topic))
	if f.err == nil && f.log != nil {
		lt.remember(key, f.log)
	}
	lt.mu.Lock()
	delete(lt.finding, key)
	lt.mu.Unlock()
	close(f.done)
}

// findScope returns nil without an error where the scope is in pieces: each
// topic's stream must then be looked for.
func (lt *logTable) findScope(ctx context.Context, scope string) (*log, error) {
	want, ok := lt.t.cfg.Layout.Stream(scope)
	if scope == "" || !ok {
		return nil, nil
	}
	for range 3 { // another process may make or remove streams meanwhile
		infos, err := lt.t.overlapping(ctx, want.Subject)
		switch {
		case errors.Is(err, driver.ErrPermission):
			return &log{name: want.Name, expect: want.Name, ids: true}, nil
		case err != nil:
			return nil, err
		}
		if len(infos) == 0 {
			if err := lt.t.makeStream(ctx, want); err != nil && !isTaken(err) {
				return nil, err
			}
			continue
		}
		for _, info := range infos {
			if slices.ContainsFunc(info.Config.Subjects, func(s string) bool { return covers(s, want.Subject) }) {
				return lt.describe(info, want.Name), nil
			}
		}
		return nil, nil
	}
	return nil, fmt.Errorf("make stream %s: %w: other processes keep changing streams on %s", want.Name, driver.ErrUnavailable, want.Subject)
}

// describe tells our own stream from an adopted one by its name: an operator
// may have made it instead of us.
func (lt *logTable) describe(info *jetstream.StreamInfo, ownName string) *log {
	c := info.Config
	l := &log{name: c.Name, ids: c.Name == ownName}
	l.batch = lt.t.cfg.batch.kind(c, l.ids)
	if !l.ids {
		lt.tell(c.Name)
	}
	return l
}

func (lt *logTable) tell(stream string) {
	lt.mu.Lock()
	defer lt.mu.Unlock()
	if lt.told[stream] {
		return
	}
	lt.told[stream] = true
	lt.t.log.Warn("nats: stream adopted as it is: publishes carry no Nats-Msg-Id there, so a publish retried after an uncertain outcome may be stored twice; consumers dedupe by message_id", "stream", stream)
}

func (lt *logTable) remember(key string, l *log) {
	lt.mu.Lock()
	defer lt.mu.Unlock()
	m := maps.Clone(*lt.known.Load())
	m[key] = l
	lt.known.Store(&m)
}

// forget drops l, so that the next publish asks the server again: nobody
// answers on its subject, or another stream did.
func (lt *logTable) forget(l *log) {
	lt.mu.Lock()
	defer lt.mu.Unlock()
	m := maps.Clone(*lt.known.Load())
	maps.DeleteFunc(m, func(_ string, v *log) bool { return v == l })
	lt.known.Store(&m)
	lt.pieces.forget(l)
}

// learn notes that a subject which we may not ask about belongs to a stream of
// another name, so it is adopted.
func (lt *logTable) learn(l *log) {
	lt.mu.Lock()
	m := maps.Clone(*lt.known.Load())
	for key, v := range m {
		if v == l {
			m[key] = &log{name: l.name}
		}
	}
	lt.known.Store(&m)
	lt.mu.Unlock()
	lt.tell("(holding " + l.name + ")")
}
