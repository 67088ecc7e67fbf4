package bench

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// rawPull and rawAckPending keep the client library busy: the best of what
	// was tried.
	rawPull       = 10_000
	rawAckPending = 20_000
	// rawHistory is as much for an ordered consumer.
	rawHistory = 20_000
)

// Consume implements Client: a durable consumer that acknowledges each message.
func (r *RawNATS) Consume(ctx context.Context, rc Reception) error {
	stream, err := r.js.StreamNameBySubject(ctx, rc.Topic)
	if err != nil {
		return fmt.Errorf("find the stream: %w", err)
	}
	conf := jetstream.ConsumerConfig{
		Durable: rc.Group, FilterSubject: rc.Topic,
		AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: rawAckPending, DeliverPolicy: jetstream.DeliverNewPolicy,
	}
	if !rc.From.IsZero() {
		conf.DeliverPolicy, conf.OptStartTime = jetstream.DeliverByStartTimePolicy, &rc.From
	}
	c, err := r.js.CreateConsumer(ctx, stream, conf)
	if err != nil {
		return fmt.Errorf("create consumer: %w", err)
	}
	defer func() { _ = r.js.DeleteConsumer(context.WithoutCancel(ctx), stream, rc.Group) }()
	return take(ctx, c, rc.ahead(rawPull), func(m jetstream.Msg) {
		_ = m.Ack()
		rc.take(m.Headers().Get, m.Data())
	})
}

// Read implements Client: an ordered consumer.
func (r *RawNATS) Read(ctx context.Context, rc Reception) error {
	stream, err := r.js.StreamNameBySubject(ctx, rc.Topic)
	if err != nil {
		return fmt.Errorf("find the stream: %w", err)
	}
	c, err := r.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{rc.Topic}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &rc.From,
	})
	if err != nil {
		return fmt.Errorf("create consumer: %w", err)
	}
	return take(ctx, c, rc.ahead(rawHistory), func(m jetstream.Msg) { rc.take(m.Headers().Get, m.Data()) })
}

func take(ctx context.Context, c jetstream.Consumer, pull int, got func(jetstream.Msg)) error {
	cc, err := c.Consume(got, jetstream.PullMaxMessages(pull))
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	defer cc.Stop()
	<-ctx.Done()
	return nil
}
