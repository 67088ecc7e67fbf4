package drivertest

import (
	"slices"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Harness tells the suite how to get a broker.
type Harness struct {
	// Start returns a broker that holds no record and no group. It is called
	// once per promise, and ends what it started with t.Cleanup.
	Start func(t testing.TB) Broker
	// Lease is what groups ask for in tests; takeovers wait about this long.
	// Zero: 1 s.
	Lease time.Duration
	// Patience bounds every wait for something that must happen. Zero: 30 s.
	Patience time.Duration
	// Quiet is how long something that must not happen is watched. Zero: 300 ms.
	Quiet time.Duration
	// Around runs one promise, for example inside testing/synctest. Nil: as is.
	Around func(t *testing.T, promise func(t *testing.T))
	// BrokerFuncs names functions whose goroutines belong to a broker in the
	// test's process, not to the transport: the leak check passes over them.
	BrokerFuncs []string
}

// Broker is one broker, and the faults that a promise speaks of. Its dedupe
// window lasts a minute or longer. Where a method cannot do its work it fails
// the test.
type Broker interface {
	// Connect returns a client of its own, as another process would have. The
	// suite closes it.
	Connect(t testing.TB) driver.Transport
	// Crash ends tr as kill -9 ends a process: nothing more is sent, and
	// nothing is given back. What tr keeps in this process (goroutines,
	// sockets) has ended when Crash returns; the events of its sources end.
	Crash(t testing.TB, tr driver.Transport)
	// Cut severs tr, which lives on, from the broker until heal is called:
	// nothing reaches either side, or nothing but what was under way.
	Cut(t testing.TB, tr driver.Transport) (heal func())
	// LoseAcks lets what tr publishes reach the broker, which stores it, and
	// keeps the broker's answers from tr until restore is called. The suite
	// uses tr only for publishing then.
	LoseAcks(t testing.TB, tr driver.Transport) (restore func())
	// Outage takes the broker away from all clients, with all that it holds,
	// until restore is called.
	Outage(t testing.TB) (restore func())
	// Truncate removes the records of a log below a position, as retention
	// would. The log's name is that of Delivery.Log.
	Truncate(t testing.TB, log string, below uint64)
	// Groups names what the broker keeps for groups and readers: durable and
	// temporary consumers, positions, leases.
	Groups(t testing.TB) []string
}

const (
	defaultLease    = time.Second
	defaultPatience = 30 * time.Second
	defaultQuiet    = 300 * time.Millisecond
)

func (h Harness) withDefaults() Harness {
	if h.Lease == 0 {
		h.Lease = defaultLease
	}
	if h.Patience == 0 {
		h.Patience = defaultPatience
	}
	if h.Quiet == 0 {
		h.Quiet = defaultQuiet
	}
	if h.Around == nil {
		h.Around = func(t *testing.T, promise func(t *testing.T)) { promise(t) }
	}
	return h
}

// Promise is one thing that every transport keeps.
type Promise struct {
	// Name is the name of the subtest.
	Name string
	// Text says in one sentence what a user of a transport may rely on.
	Text string

	check func(e *env)
}

// Promises lists all promises in the order in which Run tests them.
func Promises() []Promise {
	return slices.Concat(
		publishPromises(),
		refusalPromises(),
		failurePromises(),
		recordPromises(),
		groupPromises(),
		commitPromises(),
		takeoverPromises(),
		crashPromises(),
		memberPromises(),
		sharePromises(),
		patternPromises(),
		flowPromises(),
		outagePromises(),
		gapPromises(),
		readPromises(),
		livePromises(),
		closePromises(),
		lanePromises(),
	)
}

// Run tests every promise on brokers of h, one subtest each.
func Run(t *testing.T, h Harness) {
	h = h.withDefaults()
	for _, p := range Promises() {
		t.Run(p.Name, func(t *testing.T) {
			h.Around(t, func(t *testing.T) {
				p.check(newEnv(t, h))
				if t.Failed() {
					t.Log("broken promise: " + p.Text)
				}
			})
		})
	}
}
