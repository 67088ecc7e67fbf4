package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Publisher publishes: it calls done once the outcome of e is known, from any
// goroutine, and may wait before it returns.
type Publisher interface {
	Publish(e ampybus.Envelope, done func(error))
}

// Client is one side of a comparison: the bus, or a client library alone.
type Client interface {
	Publisher
	// PublishSync publishes one message and waits for the broker's word.
	PublishSync(ctx context.Context, e ampybus.Envelope) error
	// PublishBatch publishes several at once and waits for all. Its error joins
	// an *ampybus.PublishError for each that is not stored.
	PublishBatch(ctx context.Context, es []ampybus.Envelope) error
	// Consume joins a new durable group and takes its messages until ctx ends.
	Consume(ctx context.Context, r Reception) error
	// Read reads what is stored, without a group, until ctx ends.
	Read(ctx context.Context, r Reception) error
}

// Reception says what a client is to receive.
type Reception struct {
	Topic string
	Group string
	// From is the time of storing to begin at. Zero: behind the newest record.
	From time.Time
	// Timed asks for produced_at; a client library is spared the reading of it
	// where nobody asks.
	Timed bool
	// PayloadBytes is the size of each payload before compression.
	PayloadBytes int
	// Got is called for each message, from any goroutine.
	Got func(producedAt time.Time)
}

// Bus measures a bus.
type Bus struct{ *ampybus.Bus }

// Publish implements Publisher.
func (b Bus) Publish(e ampybus.Envelope, done func(error)) { b.PublishAsync(e, done) }

// PublishSync implements Client.
func (b Bus) PublishSync(ctx context.Context, e ampybus.Envelope) error {
	return b.Bus.Publish(ctx, e.Topic, e.Headers, e.Payload)
}

// PublishBatch implements Client.
func (b Bus) PublishBatch(ctx context.Context, es []ampybus.Envelope) error {
	return b.Bus.PublishBatch(ctx, es...)
}

// Consume implements Client: a durable consumer with all defaults.
func (b Bus) Consume(ctx context.Context, r Reception) error {
	c := ampybus.Consumer{Pattern: r.Topic, Group: r.Group, Start: r.From, StartNew: r.From.IsZero()}
	return b.Bus.Consume(ctx, c, func(_ context.Context, m *ampybus.Message) error {
		r.Got(m.Headers.ProducedAt)
		return nil
	})
}

// Read implements Client.
func (b Bus) Read(ctx context.Context, r Reception) error {
	for m, err := range b.Bus.Read(ctx, ampybus.Range{Pattern: r.Topic, Start: r.From}) {
		if err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("read: %w", err)
		}
		if err == nil {
			r.Got(m.Headers.ProducedAt)
		}
	}
	return nil
}
