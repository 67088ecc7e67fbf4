//go:build chaos

package chaos

import (
	"flag"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// page holds the table of figures; none by default.
var page = flag.String("figures", "", "page whose table of figures is brought up to date")

// TestMain runs tests; as a child process it runs a service or a server.
func TestMain(m *testing.M) {
	chaos.Main(map[string]chaos.Role{"service": chaos.RunService, "ledger": runLedger, "node": runNode, "kafka": runKafka}, func() { brokertest.Main(m) })
}

// full is how often something happens: fewer times with -short, in CI, where
// minutes count.
func full(n, short int) int {
	if testing.Short() {
		return short
	}
	return n
}

// lease is short, so that takeovers are many.
const lease = time.Second

// at is a scene on the servers of url. Publishes are retried through all that
// a scenario does.
func at(t *testing.T, url string) *chaos.Scene {
	t.Helper()
	s := chaos.NewScene(t, chaos.OrdersTopic)
	tr, err := natsbinding.Dial(chaos.NATS(url))
	if err != nil {
		t.Fatal(err)
	}
	s.Connect(tr, ampybus.Options{PublishCeiling: 5 * time.Minute, CloseTimeout: time.Second})
	t.Cleanup(func() { _ = s.Bus.Close() })
	return s
}

// services is a set of consumer processes, each started again when it is gone.
type services struct {
	s     *chaos.Scene
	spec  chaos.Service
	procs map[string]*chaos.Child
}

func start(s *chaos.Scene, url string, names ...string) *services {
	s.TB.Helper()
	x := &services{s: s, procs: make(map[string]*chaos.Child), spec: chaos.Service{
		URL: url, Store: chaos.Serve(s.TB, s.Store), Topic: s.Topic, Lease: lease, MaxSpan: 500, Takes: time.Millisecond,
	}}
	for _, name := range names {
		x.start(name)
	}
	return x
}

func (x *services) start(name string) {
	x.s.TB.Helper()
	spec := x.spec
	spec.Name = name
	c := chaos.Start(x.s.TB, "service", spec)
	c.Await(x.s.TB, "ready")
	x.procs[name] = c
}

// kill ends a process with SIGKILL, and starts it again.
func (x *services) kill(name string) {
	x.s.TB.Helper()
	x.procs[name].Kill()
	x.start(name)
}

// end ends all in an orderly way.
func (x *services) end() {
	x.s.TB.Helper()
	for name, c := range x.procs {
		if took, err := c.Terminate(); err != nil || took > 10*time.Second {
			x.s.TB.Errorf("%s ended after %v with %v", name, took, err)
		}
	}
}
