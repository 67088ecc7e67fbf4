package bench

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// RawKafka publishes to Kafka with the client library alone: the same headers,
// idempotent and acknowledged by all replicas as on the bus, no validation and
// no ids that are recognised later.
type RawKafka struct {
	cl      *kgo.Client
	topicOf func(busTopic string) string
}

// DialRawKafka connects with opts. topicOf maps a bus topic to its Kafka topic,
// which must exist.
func DialRawKafka(opts []kgo.Opt, topicOf func(busTopic string) string) (*RawKafka, error) {
	cl, err := kgo.NewClient(append(opts,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.SnappyCompression()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)...)
	if err != nil {
		return nil, fmt.Errorf("connect for the comparison: %w", err)
	}
	return &RawKafka{cl: cl, topicOf: topicOf}, nil
}

// Publish implements Publisher.
func (r *RawKafka) Publish(e ampybus.Envelope, done func(error)) {
	r.cl.Produce(context.Background(), r.record(e), func(_ *kgo.Record, err error) { done(err) })
}

func (r *RawKafka) record(e ampybus.Envelope) *kgo.Record {
	e.Headers.Topic = e.Topic
	rec := &kgo.Record{Topic: r.topicOf(e.Topic), Key: []byte(e.Headers.PartitionKey), Value: e.Payload}
	for _, h := range ampybus.EncodeHeaders(e.Headers) {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
	}
	return rec
}

// Close ends the connection.
func (r *RawKafka) Close() { r.cl.Close() }
