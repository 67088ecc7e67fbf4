package delivery

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// broker is a broker with the faults that scenarios need. A client stands for
// a process.
type broker interface {
	client() client
	// outage takes the broker away from all until restore is called.
	outage() (restore func())
	// truncate drops the records of a log below a position.
	truncate(log string, below uint64)
	// divide makes the topic's logs such that members share them n ways.
	divide(n int)
	// closeDLQ makes dead letters of dev impossible until open is called: the
	// log is gone, or full.
	closeDLQ(full bool) (open func())
}

// client is one process's connection.
type client interface {
	transport() driver.Transport
	crash()                   // as kill -9
	cut() (heal func())       // nothing passes
	mute() (restore func())   // what the client sends does not pass
	deafen() (restore func()) // what the broker answers does not pass
}

type memBroker struct {
	t *testing.T
	b *membinding.Broker
}

func (m *memBroker) client() client { return &memClient{m.b.Transport()} }

func (m *memBroker) outage() func() { return m.b.Outage() }

func (m *memBroker) truncate(log string, below uint64) {
	if err := m.b.Truncate(log, below); err != nil {
		m.t.Fatal(err)
	}
}

func (m *memBroker) divide(int) {} // consumers ask for shares

func (m *memBroker) closeDLQ(full bool) func() {
	if full {
		return m.b.Refuse("ampy.dev.dlq.v1.>", driver.ErrFull)
	}
	return m.b.Refuse("ampy.dev.dlq.v1.>", driver.ErrUnavailable)
}

type memClient struct{ tr *membinding.Transport }

func (c *memClient) transport() driver.Transport { return c.tr }
func (c *memClient) crash()                      { c.tr.Crash() }
func (c *memClient) cut() func()                 { return c.tr.Cut() }
func (c *memClient) mute() func()                { return c.tr.Cut() }

func (c *memClient) deafen() func() { return c.tr.LoseAcks() }

// natsBroker is an embedded server, with a proxy in front of each client.
type natsBroker struct {
	t    *testing.T
	conf natsserver.Config
	mu   sync.Mutex
	srv  *natsserver.Server
}

func startNATS(t *testing.T) *natsBroker {
	b := &natsBroker{t: t, conf: natsserver.Config{Port: brokertest.FreePort(t), StoreDir: t.TempDir()}}
	b.start()
	t.Cleanup(func() { b.server().Close() })
	return b
}

func (b *natsBroker) start() {
	srv, err := natsserver.Start(b.conf)
	if err != nil {
		b.t.Error(err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.srv = srv
}

func (b *natsBroker) server() *natsserver.Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.srv
}

func (b *natsBroker) client() client {
	b.t.Helper()
	p := chaos.StartProxy(b.t, strings.TrimPrefix(b.server().URL(), "nats://"))
	tr, err := natsbinding.Dial(chaos.NATS("nats://" + p.Addr()))
	if err != nil {
		b.t.Fatal(err)
	}
	return &proxied{tr, p}
}

func (b *natsBroker) divide(int) {} // consumers ask for shares

func (b *natsBroker) outage() func() {
	b.server().Close()
	return b.start
}

func (b *natsBroker) truncate(log string, below uint64) {
	b.t.Helper()
	b.admin(func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, log)
		if err != nil {
			return err
		}
		return s.Purge(ctx, jetstream.WithPurgeSequence(below))
	})
}

// closeDLQ gives the stream of dead letters other subjects, or a limit that it
// has reached.
func (b *natsBroker) closeDLQ(full bool) func() {
	b.t.Helper()
	change := func(edit func(*jetstream.StreamConfig)) {
		b.admin(func(ctx context.Context, js jetstream.JetStream) error {
			s, err := js.Stream(ctx, "AMPY_DEV_DLQ")
			if err != nil {
				return err
			}
			c := s.CachedInfo().Config
			edit(&c)
			_, err = js.UpdateStream(ctx, c)
			return err
		})
	}
	if full {
		change(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
		return func() { change(func(c *jetstream.StreamConfig) { c.MaxMsgs = -1 }) }
	}
	change(func(c *jetstream.StreamConfig) { c.Subjects = []string{"elsewhere"} })
	return func() { change(func(c *jetstream.StreamConfig) { c.Subjects = []string{"ampy.dev.dlq.>"} }) }
}

// admin does something to the server past all proxies.
func (b *natsBroker) admin(f func(context.Context, jetstream.JetStream) error) {
	b.t.Helper()
	nc, err := nats.Connect(b.server().URL())
	if err != nil {
		b.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		err = f(b.t.Context(), js)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// proxied is a client whose connections all pass a proxy.
type proxied struct {
	tr    driver.Transport
	proxy *chaos.Proxy
}

func (c *proxied) transport() driver.Transport { return c.tr }
func (c *proxied) cut() func()                 { return c.proxy.Blackhole() }

func (c *proxied) mute() func() {
	c.proxy.Shape(chaos.Up, chaos.Shape{Hold: true})
	return c.proxy.Heal
}

func (c *proxied) deafen() func() {
	c.proxy.Shape(chaos.Down, chaos.Shape{Hold: true})
	return c.proxy.Heal
}

// crash lets nothing more pass, and then ends what runs in this process.
func (c *proxied) crash() {
	c.proxy.Blackhole()
	c.proxy.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nothing is given back
	_ = c.tr.Close(ctx)
}
