package kafkabinding

import (
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/drivertest"
)

// serverFuncs are goroutines of the embedded server and the test's proxies:
// they notice a moment later that a client is gone, and a request that the
// server holds back keeps a connection of its own until it is answered.
var serverFuncs = []string{
	"github.com/twmb/franz-go/pkg/kfake.(*clientConn).read",
	"github.com/twmb/franz-go/pkg/kfake.(*clientConn).write",
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

// The same promises with the group protocol of KIP-848, where the coordinator
// assigns partitions.
func TestPromisesWithServerAssignor(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		Start:       func(t testing.TB) drivertest.Broker { return startBroker(t, Config{ServerAssignor: true}) },
		BrokerFuncs: serverFuncs,
		Lease:       testLease,
		Patience:    testPatience(),
	})
}
