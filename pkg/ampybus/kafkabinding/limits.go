package kafkabinding

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// defaultBatchBytes is Kafka's own message.max.bytes: the largest batch.
	defaultBatchBytes = 1048588
	// minBatchBytes and maxBatchBytes bound what a broker's configuration may
	// make of batches, which the client holds in memory.
	minBatchBytes = 512
	maxBatchBytes = 64 << 20
	// framing is what a batch and a record add to names and values, with the
	// headers of the transport's own.
	framing = 2 << 10
	// perHeader is what the lengths of a header's name and value may add.
	perHeader = 10
)

// batchLimits are the largest batches that brokers take: what the broker says
// (message.max.bytes), and for each topic that is known what it says
// (max.message.bytes).
type batchLimits struct {
	broker atomic.Int64
	topics sync.Map // topic name to int64
}

// of is the limit of a topic, or the broker's where the topic is not known.
func (b *batchLimits) of(topic string) int64 {
	if n, ok := b.topics.Load(topic); ok {
		return n.(int64)
	}
	return b.broker.Load()
}

// askBroker learns the broker's limit. An identity that may not ask keeps
// Kafka's default.
func (t *Transport) askBroker(ctx context.Context) {
	meta, err := t.adm.BrokerMetadata(ctx)
	if err != nil || len(meta.Brokers) == 0 {
		return
	}
	configs, err := t.adm.DescribeBrokerConfigs(ctx, meta.Brokers[0].NodeID)
	if err != nil {
		return
	}
	if n, ok := batchBytes(configs, "message.max.bytes"); ok {
		t.batches.broker.Store(n)
	}
}

// askTopic learns a topic's limit, before the first record goes to it.
func (t *Transport) askTopic(ctx context.Context, topic string) {
	configs, err := t.adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return
	}
	// What the topic has from its broker is the broker's to say.
	if n, ok := batchBytes(configs, "max.message.bytes", kmsg.ConfigSourceDynamicTopicConfig); ok {
		t.batches.topics.Store(topic, n)
	}
}

func batchBytes(configs kadm.ResourceConfigs, name string, from ...kmsg.ConfigSource) (int64, bool) {
	for _, r := range configs {
		for _, c := range r.Configs {
			if c.Key != name || r.Err != nil || len(from) > 0 && !slices.Contains(from, c.Source) {
				continue
			}
			n, err := strconv.ParseInt(c.MaybeValue(), 10, 64)
			return min(max(n, minBatchBytes), maxBatchBytes), err == nil
		}
	}
	return 0, false
}

// Limits reports what fits into the largest batch that the broker takes; a
// topic may take less, or more.
func (t *Transport) Limits() driver.Limits {
	return driver.Limits{MaxRecordBytes: recordBytes(t.batches.broker.Load())}
}

var _ driver.TopicLimited = (*Transport)(nil)

// ValueLimit implements driver.TopicLimited. A topic is asked once, when it is
// first used; a limit that changes later is learned by the next connection.
func (t *Transport) ValueLimit(ctx context.Context, r *driver.Record, ask bool) (int, bool) {
	name, err := t.cfg.Layout.kafkaTopic(r.Topic)
	if err != nil {
		return 0, false
	}
	kt := t.topics.lookup(name)
	if kt == nil && ask {
		kt = t.topics.await(ctx, name)
	}
	if kt == nil {
		return 0, false
	}
	return max(0, kt.maxRecord-size(r)+len(r.Value)), true
}

// recordBytes is the largest record that fits into a batch.
func recordBytes(batch int64) int { return int(max(batch-framing, 0)) }
