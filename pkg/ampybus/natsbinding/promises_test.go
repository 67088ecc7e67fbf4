package natsbinding

import (
	"regexp"
	"strings"
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

func TestPromises(t *testing.T) { promises(t, Config{}, "") }

// The promises that an older server or another way of publishing could break,
// on those. Servers before 2.14 cannot reset a consumer; batches are used on
// replicated streams otherwise.
func TestPromisesOnOlderServers(t *testing.T) {
	promises(t, Config{noReset: true, batch: batchNever}, "Crash|Commit|Resumes|Takeover|HandsOver|Epochs|Owner|Outlives|Shares|Joiner|Gap|NeverLost")
}

func TestPromisesWithBatches(t *testing.T) {
	promises(t, Config{batch: batchAtomic}, "Publish|Settles|Stored|Stores|Uncertain|Failed|Dedupe|Positions|LaterRecords|Large|NeverLost|History")
}

// promises holds the suite against servers used as c says. A pattern leaves out
// what has nothing to do with that: the name stays, so that nobody takes the
// suite for shorter than it is.
func promises(t *testing.T, c Config, pattern string) {
	concerns := regexp.MustCompile(pattern)
	drivertest.Run(t, drivertest.Harness{
		Start:       func(t testing.TB) drivertest.Broker { return startBroker(t, c) },
		BrokerFuncs: serverFuncs,
		Lease:       testLease,
		Patience:    testPatience(),
		Around: func(t *testing.T, promise func(t *testing.T)) {
			if _, name, _ := strings.Cut(t.Name(), "/"); concerns.MatchString(name) {
				promise(t)
			}
		},
	})
}
