package ampybus

import (
	"context"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Options configure a Bus. The zero value works.
type Options struct {
	// Observer sees what happens. Nil: nobody.
	Observer Observer
	// Blobs keeps payloads that are too large for a record (specification §9).
	// Nil: such a publish is refused, and such a message is dead-lettered.
	Blobs BlobStore
	// HashPayloads writes payload_hash on every message; without it only the
	// domains whose policy asks for it carry one.
	HashPayloads bool
	// MaxPending bounds messages handed to the bus and not settled yet; more
	// callers wait. Zero: 4,096.
	MaxPending int
	// MaxPendingBytes bounds their bytes. Zero: 64 MiB.
	MaxPendingBytes int
	// PublishCeiling bounds how long one publish is retried. Zero: the
	// domain's, by QoS class.
	PublishCeiling time.Duration
	// CloseTimeout bounds how long Close waits for unsettled publishes and for
	// the broker. Zero: 10 s.
	CloseTimeout time.Duration
}

const (
	defaultMaxPending      = 4096
	defaultMaxPendingBytes = 64 << 20
	defaultCloseTimeout    = 10 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Observer == nil {
		o.Observer = observers(nil)
	}
	if o.MaxPending <= 0 {
		o.MaxPending = defaultMaxPending
	}
	if o.MaxPendingBytes <= 0 {
		o.MaxPendingBytes = defaultMaxPendingBytes
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = defaultCloseTimeout
	}
	return o
}

// Bus publishes and consumes envelopes over one transport. It is safe for
// concurrent use.
type Bus struct {
	t    driver.Transport
	opts Options
	pipe *pipeline
	memo publishMemo

	mu     sync.Mutex
	closed bool
	subs   map[*Subscription]struct{}
}

// New returns a Bus over t, and owns t from then on. Users call a binding's
// Connect, which calls New.
func New(t driver.Transport, o Options) *Bus {
	o = o.withDefaults()
	b := &Bus{
		t:    t,
		opts: o,
		subs: make(map[*Subscription]struct{}),
	}
	b.pipe = newPipeline(t, o.MaxPending, o.MaxPendingBytes, b.settled)
	return b
}

// Transport returns the transport below the bus, for tools.
func (b *Bus) Transport() driver.Transport { return b.t }

// Close stops live subscriptions, waits for unsettled publishes (at most
// Options.CloseTimeout; the rest settle with ErrUncertain or as not stored)
// and ends the connection. A running Consume ends with ErrClosed: end its
// context first to drain it. Close may be called twice.
func (b *Bus) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	subs := b.subs
	b.subs = nil
	b.mu.Unlock()

	for s := range subs {
		_ = s.Stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.opts.CloseTimeout)
	defer cancel()
	b.pipe.close(ctx)
	return b.t.Close(ctx)
}

func (b *Bus) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}
