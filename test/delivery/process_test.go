package delivery

import (
	"context"
	"encoding/json"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// service is what a consumer process is told.
type service struct {
	URL, Store, Name, Topic string
	Lease                   time.Duration
	MaxSpan                 int
	Takes                   time.Duration // of one attempt
}

// consumerRole is a service: it consumes into the store of its parent until
// SIGTERM.
func consumerRole(args []byte) error {
	var s service
	if err := json.Unmarshal(args, &s); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	store, err := chaos.DialStore(s.Store)
	if err != nil {
		return err
	}
	bus, err := natsbinding.Connect(natsConfig(s.URL))
	if err != nil {
		return err
	}
	chaos.Say("ready")
	err = bus.Consume(ctx, ampybus.Consumer{
		Pattern: s.Topic, Group: group, Lease: s.Lease, MaxSpan: s.MaxSpan, Workers: 8, Dedupe: ampybus.NoDedupe{},
	}, func(_ context.Context, m *ampybus.Message) error {
		if s.Takes > 0 {
			<-time.After(s.Takes)
		}
		o, err := store.Apply(s.Name, m)
		if o == chaos.Fenced {
			return ampybus.ErrFenced
		}
		return err
	})
	if err != nil {
		return err
	}
	return bus.Close()
}

// processes is a world around a nats-server in a process of its own.
func processes(t *testing.T, topic string) (w *world, srv *brokertest.Process, s service) {
	t.Helper()
	srv = brokertest.StartProcess(t, false)
	w = newWorld(t, topic, nil)
	tr, err := natsbinding.Dial(natsConfig(srv.URL()))
	if err != nil {
		t.Fatal(err)
	}
	w.lease = time.Second
	w.main = plainClient{tr}
	w.bus = ampybus.New(w.h.Transport("main", tr), ampybus.Options{})
	t.Cleanup(func() { _ = w.bus.Close() })
	return w, srv, service{URL: srv.URL(), Store: chaos.Serve(t, w.store), Topic: topic, Lease: w.lease}
}

// plainClient is a client that no fault reaches.
type plainClient struct{ tr driver.Transport }

func (c plainClient) transport() driver.Transport { return c.tr }
func (c plainClient) crash()                      {}
func (c plainClient) cut() func()                 { return func() {} }
func (c plainClient) mute() func()                { return func() {} }
func (c plainClient) deafen() func()              { return func() {} }

// begin starts a consumer process.
func (w *world) begin(s service, name string) *chaos.Child {
	w.t.Helper()
	s.Name = name
	c := chaos.Start(w.t, "consumer", s)
	c.Await(w.t, "ready")
	return c
}

func TestAConsumerThatIsKilledLosesAndReordersNothing(t *testing.T) {
	const n, keys = 50_000, 200
	w, _, s := processes(t, ordersTopic)
	l := w.publish(n, keys, 4000)
	first := w.begin(s, "first")
	w.progress(n / 2)
	first.Kill()
	at := w.store.Progress.Value()
	second := w.begin(s, "second")
	<-l.done
	w.progress(n)
	w.drained()
	if _, err := second.Terminate(); err != nil {
		t.Errorf("the second process ended with %v", err)
	}
	r := w.check(ampytest.Rules{})
	if r.Applied != n {
		t.Errorf("%d of %d applied", r.Applied, n)
	}
	t.Logf("killed after %d effects; %d came again", at, w.store.Count(chaos.Repeat))
	w.atLeast("effects behind the kill", n-at, n/10)
	w.atLeast("redeliveries", w.store.Count(chaos.Repeat), 1)
}

func TestSIGTERMFinishesOrReleasesAllWork(t *testing.T) {
	rounds, per := scaled(8, 50), 500
	w, _, s := processes(t, ordersTopic)
	s.Takes = time.Millisecond
	for i := range rounds {
		c := w.begin(s, "service")
		l := w.publish(per, 20, 100)
		w.progress(i*per + 1 + w.dice.IntN(per/2))
		if took, err := c.Terminate(); err != nil || took > 10*time.Second {
			t.Errorf("round %d: ended after %v with %v", i, took, err)
		}
		left := (i+1)*per - w.store.Progress.Value()
		c = w.begin(s, "service")
		<-l.done
		w.progress((i + 1) * per)
		w.drained()
		if _, err := c.Terminate(); err != nil {
			t.Errorf("round %d: ended with %v", i, err)
		}
		w.atLeast("messages left at the signal", left, 1)
	}
	if n := w.store.Count(chaos.Repeat) + w.store.Count(chaos.Fenced); n != 0 {
		t.Errorf("%d messages came again", n)
	}
	r := w.check(ampytest.Rules{})
	if r.Applied != rounds*per {
		t.Errorf("%d of %d applied", r.Applied, rounds*per)
	}
}
