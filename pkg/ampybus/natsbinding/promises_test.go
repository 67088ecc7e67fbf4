package natsbinding

import (
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/drivertest"
)

// serverFuncs are goroutines of the embedded server and the test's proxies.
var serverFuncs = []string{
	"github.com/nats-io/nats-server/v2/server.(*Server).startGoRoutine.func1",
	"github.com/nats-io/nats-server/v2/server.(*consumer).loopAndGatherMsgs",
	"github.com/nats-io/nats-server/v2/server.(*consumer).processInboundAcks",
	"github.com/nats-io/nats-server/v2/server.(*consumer).processInboundNextMsgReqs",
	"github.com/nats-io/nats-server/v2/server.(*consumerFileStore).flushLoop",
	"github.com/AmpyFin/ampy-bus/internal/brokertest.(*Proxy).accept",
	"github.com/AmpyFin/ampy-bus/internal/brokertest.(*Proxy).serve",
	"github.com/AmpyFin/ampy-bus/internal/brokertest.pump",
}

func TestPromises(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		Start:       func(t testing.TB) drivertest.Broker { return startBroker(t, Config{}) },
		BrokerFuncs: serverFuncs,
		Lease:       testLease,
		Patience:    testPatience(),
	})
}

// The same promises on a server that cannot reset a consumer, as those before
// 2.14, and with batches, which are used on replicated streams otherwise.
func TestPromisesOnOlderServers(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		Start:       func(t testing.TB) drivertest.Broker { return startBroker(t, Config{noReset: true, batch: batchNever}) },
		BrokerFuncs: serverFuncs,
		Lease:       testLease,
		Patience:    testPatience(),
	})
}

func TestPromisesWithBatches(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		Start:       func(t testing.TB) drivertest.Broker { return startBroker(t, Config{batch: batchAlways}) },
		BrokerFuncs: serverFuncs,
		Lease:       testLease,
		Patience:    testPatience(),
	})
}
