package kafkabinding

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/drivertest"
)

// realKafka is one node of Apache Kafka, which all promises share: starting one
// takes seconds. What a promise leaves is deleted before the next.
type realKafka struct {
	addr string
	node *brokertest.KafkaCluster
}

func startReal(t *testing.T) *realKafka {
	t.Helper()
	if env := os.Getenv(brokertest.KafkaEnv); strings.Contains(env, ":") {
		t.Skipf("SKIPPED: outages need a Kafka that the test may kill; %s names one elsewhere", brokertest.KafkaEnv)
	}
	node := brokertest.StartKafka(t, 1)
	return &realKafka{addr: node.Addrs()[0], node: node}
}

func (r *realKafka) Addr() string { return r.addr }

func (r *realKafka) Stop(testing.TB) { r.node.Kill(0) }

func (r *realKafka) Start(testing.TB) { r.node.Restart(0) }

// empty removes all topics and groups.
func (r *realKafka) empty(tb testing.TB, b *broker) {
	tb.Helper()
	t := b.plain(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		topics, err := t.adm.ListTopics(ctx)
		groups, err2 := t.adm.ListGroups(ctx)
		if err == nil && err2 == nil && len(topics) == 0 && len(groups) == 0 {
			return
		}
		if len(topics) > 0 {
			_, _ = t.adm.DeleteTopics(ctx, topics.Names()...)
		}
		if len(groups) > 0 {
			_, _ = t.adm.DeleteGroups(ctx, groups.Groups()...)
		}
		pause(ctx, 50*time.Millisecond)
	}
	tb.Fatal("the broker could not be emptied")
}

func TestPromisesOnRealKafka(t *testing.T) {
	kafka := startReal(t)
	drivertest.Run(t, drivertest.Harness{
		Start: func(t testing.TB) drivertest.Broker {
			b := newBroker(kafka, Config{})
			kafka.empty(t, b)
			return prepared(t, b)
		},
		BrokerFuncs: serverFuncs,
		Lease:       testLease,
		Patience:    testPatience(),
	})
}
