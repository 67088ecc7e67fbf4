package kafkabinding

import (
	"os"
	"strings"
	"testing"

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
	node.Warm(t)
	return &realKafka{addr: node.Addrs()[0], node: node}
}

func (r *realKafka) Addr() string { return r.addr }

func (r *realKafka) Stop(testing.TB) { r.node.Kill(0) }

func (r *realKafka) Start(testing.TB) { r.node.Restart(0) }

func TestPromisesOnRealKafka(t *testing.T) {
	promisesOnReal(t, Config{})
}

// The same with the group protocol of KIP-848.
func TestPromisesWithServerAssignorOnRealKafka(t *testing.T) {
	promisesOnReal(t, Config{ServerAssignor: true})
}

func promisesOnReal(t *testing.T, base Config) {
	t.Helper()
	kafka := startReal(t)
	base.AckTimeout = 2 * testAckTimeout // a new topic has no leader for a while
	drivertest.Run(t, drivertest.Harness{
		Start: func(t testing.TB) drivertest.Broker {
			b := newBroker(kafka, base)
			kafka.node.Empty(t)
			return prepared(t, b)
		},
		BrokerFuncs: serverFuncs,
		Lease:       testLease,
		Patience:    testPatience(),
	})
}
