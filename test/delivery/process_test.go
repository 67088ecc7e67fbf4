package delivery

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// inProcesses runs a scenario whose consumers are processes of their own: with a
// nats-server, which is one too, and with an embedded Kafka.
func inProcesses(t *testing.T, topic string, scenario func(w *world, s chaos.Service)) {
	t.Helper()
	t.Run("nats", func(t *testing.T) {
		url := brokertest.StartProcess(t, false).URL()
		tr, err := natsbinding.Dial(chaos.NATS(url))
		if err != nil {
			t.Fatal(err)
		}
		around(t, topic, url, tr, scenario)
	})
	t.Run("kafka", func(t *testing.T) {
		addr := startEmbeddedKafka(t).addr()
		tr, err := kafkabinding.Dial(chaos.Kafka(addr))
		if err != nil {
			t.Fatal(err)
		}
		around(t, topic, "kafka://"+addr, tr, scenario)
	})
}

func around(t *testing.T, topic, url string, tr driver.Transport, scenario func(w *world, s chaos.Service)) {
	t.Helper()
	w := newWorld(t, topic, nil)
	w.lease = time.Second
	w.main = plainClient{tr}
	w.Connect(tr, ampybus.Options{})
	t.Cleanup(func() { _ = w.Bus.Close() })
	scenario(w, chaos.Service{URL: url, Store: chaos.Serve(t, w.Store), Topic: topic, Lease: w.lease})
}

// plainClient is a client that no fault reaches.
type plainClient struct{ tr driver.Transport }

func (c plainClient) transport() driver.Transport { return c.tr }
func (c plainClient) crash()                      {}
func (c plainClient) cut() func()                 { return func() {} }
func (c plainClient) mute() func()                { return func() {} }
func (c plainClient) deafen() func()              { return func() {} }

// begin starts a consumer process.
func (w *world) begin(s chaos.Service, name string) *chaos.Child {
	w.t.Helper()
	s.Name = name
	c := chaos.Start(w.t, "consumer", s)
	c.Await(w.t, "ready")
	return c
}

func TestAConsumerThatIsKilledLosesAndReordersNothing(t *testing.T) {
	inProcesses(t, chaos.OrdersTopic, killedConsumer)
}

func killedConsumer(w *world, s chaos.Service) {
	const n, keys = 50_000, 200
	l := w.Publish(n, keys, 4000)
	first := w.begin(s, "first")
	w.Progress(n / 2)
	first.Kill()
	at := w.Store.Progress.Value()
	second := w.begin(s, "second")
	<-l.Done
	w.Progress(n)
	w.Drained()
	if _, err := second.Terminate(); err != nil {
		w.t.Errorf("the second process ended with %v", err)
	}
	r := w.Check(ampytest.Rules{})
	if r.Applied != n {
		w.t.Errorf("%d of %d applied", r.Applied, n)
	}
	w.t.Logf("killed after %d effects; %d came again", at, w.Store.Count(chaos.Repeat))
	w.AtLeast("effects behind the kill", n-at, n/10)
	w.AtLeast("redeliveries", w.Store.Count(chaos.Repeat), 1)
}

func TestSIGTERMFinishesOrReleasesAllWork(t *testing.T) {
	inProcesses(t, chaos.OrdersTopic, terminated)
}

func terminated(w *world, s chaos.Service) {
	rounds, per := scaled(8, 50), 500
	s.Takes = time.Millisecond
	for i := range rounds {
		c := w.begin(s, "service")
		l := w.Publish(per, 20, 100)
		w.Progress(i*per + 1 + w.Dice.IntN(per/2))
		if took, err := c.Terminate(); err != nil || took > 10*time.Second {
			w.t.Errorf("round %d: ended after %v with %v", i, took, err)
		}
		left := (i+1)*per - w.Store.Progress.Value()
		c = w.begin(s, "service")
		<-l.Done
		w.Progress((i + 1) * per)
		w.Drained()
		if _, err := c.Terminate(); err != nil {
			w.t.Errorf("round %d: ended with %v", i, err)
		}
		w.AtLeast("messages left at the signal", left, 1)
	}
	if n := w.Store.Count(chaos.Repeat) + w.Store.Count(chaos.Fenced); n != 0 {
		w.t.Errorf("%d messages came again", n)
	}
	r := w.Check(ampytest.Rules{})
	if r.Applied != rounds*per {
		w.t.Errorf("%d of %d applied", r.Applied, rounds*per)
	}
}
