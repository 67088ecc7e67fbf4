package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// RawKafka uses the client library alone: the same headers, idempotent and
// acknowledged by all replicas as on the bus, no validation and no ids that are
// recognised later; consuming as a group that commits by itself, without order
// per key across workers, without deduplication.
type RawKafka struct {
	cl      *kgo.Client
	opts    []kgo.Opt
	topicOf func(busTopic string) string
}

// DialRawKafka connects with opts. topicOf maps a bus topic to its Kafka topic,
// which must exist.
func DialRawKafka(opts []kgo.Opt, topicOf func(busTopic string) string, producing ...kgo.Opt) (*RawKafka, error) {
	all := append(append([]kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	}, opts...), producing...)
	cl, err := kgo.NewClient(all...)
	if err != nil {
		return nil, fmt.Errorf("connect for the comparison: %w", err)
	}
	return &RawKafka{cl: cl, opts: opts, topicOf: topicOf}, nil
}

// Publish implements Publisher.
func (r *RawKafka) Publish(e ampybus.Envelope, done func(error)) {
	r.cl.Produce(context.Background(), r.record(e), func(_ *kgo.Record, err error) { done(err) })
}

// PublishSync implements Client.
func (r *RawKafka) PublishSync(ctx context.Context, e ampybus.Envelope) error {
	return r.cl.ProduceSync(ctx, r.record(e)).FirstErr()
}

// PublishBatch implements Client.
func (r *RawKafka) PublishBatch(ctx context.Context, es []ampybus.Envelope) error {
	recs := make([]*kgo.Record, len(es))
	for i, e := range es {
		recs[i] = r.record(e)
	}
	var errs []error
	for i, result := range r.cl.ProduceSync(ctx, recs...) {
		errs = append(errs, notStored(es[i], result.Err)) // results may be in another order: only their number counts
	}
	return errors.Join(errs...)
}

func (r *RawKafka) record(e ampybus.Envelope) *kgo.Record {
	e = asSent(e)
	rec := &kgo.Record{Topic: r.topicOf(e.Topic), Key: []byte(e.Headers.PartitionKey), Value: e.Payload}
	hs := ampybus.EncodeHeaders(e.Headers)
	rec.Headers = make([]kgo.RecordHeader, 0, len(hs))
	for _, h := range hs {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
	}
	return rec
}

// rawCommit is how many records a raw group takes before it commits.
const rawCommit = 10_000

// Consume implements Client.
func (r *RawKafka) Consume(ctx context.Context, rc Reception) error {
	return r.receive(ctx, rc, kgo.ConsumerGroup(rc.Group), kgo.DisableAutoCommit())
}

// Read implements Client.
func (r *RawKafka) Read(ctx context.Context, rc Reception) error { return r.receive(ctx, rc) }

func (r *RawKafka) receive(ctx context.Context, rc Reception, group ...kgo.Opt) error {
	at := kgo.NewOffset().AtEnd()
	if !rc.From.IsZero() {
		at = kgo.NewOffset().AfterMilli(rc.From.UnixMilli())
	}
	opts := append(append([]kgo.Opt{kgo.ConsumeTopics(r.topicOf(rc.Topic)), kgo.ConsumeResetOffset(at)}, r.opts...), group...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("connect for the comparison: %w", err)
	}
	defer cl.Close()
	for open := 0; ctx.Err() == nil; {
		fs := cl.PollFetches(ctx)
		fs.EachRecord(func(rec *kgo.Record) { rc.take(headerOf(rec), rec.Value) })
		if open += fs.NumRecords(); open < rawCommit || len(group) == 0 {
			continue
		}
		open = 0
		if err := cl.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	return nil
}

func headerOf(rec *kgo.Record) func(name string) string {
	return func(name string) string {
		for i := range rec.Headers {
			if rec.Headers[i].Key == name {
				return string(rec.Headers[i].Value)
			}
		}
		return ""
	}
}

// Close ends the connection.
func (r *RawKafka) Close() { r.cl.Close() }
