package membinding_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/drivertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

// Short, so that the suite is quick, and long beside what a loaded machine
// takes between two steps of a test.
const (
	testLease      = 400 * time.Millisecond
	testAckTimeout = 100 * time.Millisecond
)

// TestPromises runs the promises of the seam against the clock on the wall.
func TestPromises(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{Start: start, Lease: testLease})
}

// TestPromisesOnSimulatedTime runs them again in bubbles, where leases and
// timeouts cost nothing and a slow machine changes nothing.
func TestPromisesOnSimulatedTime(t *testing.T) {
	drivertest.Run(t, drivertest.Harness{
		Start:  start,
		Around: func(t *testing.T, promise func(t *testing.T)) { synctest.Test(t, promise) },
	})
}

// testBroker is a membinding.Broker for the suite.
type testBroker struct{ *membinding.Broker }

func start(testing.TB) drivertest.Broker {
	return testBroker{membinding.New(membinding.Config{AckTimeout: testAckTimeout})}
}

func (b testBroker) Connect(testing.TB) driver.Transport { return b.Transport() }

func (b testBroker) Crash(_ testing.TB, tr driver.Transport) { tr.(*membinding.Transport).Crash() }

func (b testBroker) Cut(_ testing.TB, tr driver.Transport) func() {
	return tr.(*membinding.Transport).Cut()
}

func (b testBroker) LoseAcks(_ testing.TB, tr driver.Transport) func() {
	return tr.(*membinding.Transport).LoseAcks()
}

func (b testBroker) Outage(testing.TB) func() { return b.Broker.Outage() }

func (b testBroker) Truncate(t testing.TB, log string, below uint64) {
	if err := b.Broker.Truncate(log, below); err != nil {
		t.Fatal(err)
	}
}

func (b testBroker) Groups(testing.TB) []string { return b.Broker.Groups() }
