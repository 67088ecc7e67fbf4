package kafkabinding

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// testLease is short: takeovers wait for it.
const testLease = time.Second

// testAckTimeout keeps uncertain outcomes from taking long, and is enough for
// a loaded machine.
const testAckTimeout = 1500 * time.Millisecond

// testPatience is short where failure is expected.
func testPatience() time.Duration {
	if os.Getenv("AMPY_MUTANT") != "" {
		return 6 * time.Second
	}
	return 30 * time.Second
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// server is a Kafka of a test: in this process, or a real one.
type server interface {
	Addr() string
	Stop(tb testing.TB)
	Start(tb testing.TB)
}

// broker is a server with a proxy in front of each client.
type broker struct {
	base Config
	srv  server

	mu      sync.Mutex
	proxies map[driver.Transport]*brokertest.Proxy
}

func newBroker(srv server, base Config) *broker {
	return &broker{srv: srv, base: base, proxies: make(map[driver.Transport]*brokertest.Proxy)}
}

func (b *broker) config() Config {
	c := b.base
	c.Brokers, c.Logger = []string{b.srv.Addr()}, quiet()
	if c.AckTimeout == 0 {
		c.AckTimeout = testAckTimeout
	}
	c.minAge, c.discover = 10*time.Millisecond, 200*time.Millisecond
	if c.Partitions == 0 {
		c.Partitions = 1
	}
	return c
}

func (b *broker) Connect(tb testing.TB) driver.Transport {
	tb.Helper()
	p := brokertest.StartProxy(tb, b.srv.Addr())
	c := b.config()
	c.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, strings.TrimPrefix(p.URL(), "nats://"))
	}
	t, err := Dial(c)
	if err != nil {
		tb.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.proxies[t] = p
	return t
}

func (b *broker) proxy(t driver.Transport) *brokertest.Proxy {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.proxies[t]
}

func (b *broker) Crash(tb testing.TB, t driver.Transport) {
	p := b.proxy(t)
	p.Cut()
	p.Close()
	ctx, cancel := context.WithCancel(tb.Context())
	cancel() // nothing is given back
	_ = t.Close(ctx)
}

func (b *broker) Cut(_ testing.TB, t driver.Transport) (heal func()) {
	p := b.proxy(t)
	p.Cut()
	return p.Heal
}

func (b *broker) LoseAcks(_ testing.TB, t driver.Transport) (restore func()) {
	p := b.proxy(t)
	p.CutReplies()
	return p.Heal
}

func (b *broker) Outage(tb testing.TB) (restore func()) {
	b.srv.Stop(tb)
	return func() { b.srv.Start(tb) }
}

func (b *broker) Truncate(tb testing.TB, log string, below uint64) {
	tb.Helper()
	t := b.plain(tb)
	topic, partition := parseLog(log)
	if err := t.truncate(tb.Context(), place{topic, partition}, below); err != nil {
		tb.Fatal(err)
	}
}

func (b *broker) Groups(tb testing.TB) []string {
	tb.Helper()
	groups, err := b.plain(tb).adm.ListGroups(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return groups.Groups()
}

// plain is a connection for looking at the server, past all proxies.
func (b *broker) plain(tb testing.TB) *Transport {
	tb.Helper()
	t, err := Dial(b.config())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = t.Close(context.Background()) })
	return t
}

// embedded is a server in this process, which comes back on its port with what
// it held.
type embedded struct {
	conf kafkaserver.Config
	addr string
	srv  *kafkaserver.Server
}

func startEmbedded(tb testing.TB) *embedded {
	tb.Helper()
	e := &embedded{conf: kafkaserver.Config{
		Ports: []int{brokertest.FreePort(tb)}, DataDir: tb.TempDir(), MinSession: 100 * time.Millisecond,
		// With the protocol of KIP-848 the lease is the broker's.
		Options: []kfake.Opt{kfake.BrokerConfigs(map[string]string{
			"group.consumer.session.timeout.ms":    strconv.Itoa(int(testLease / time.Millisecond)),
			"group.consumer.heartbeat.interval.ms": "100",
		})},
	}}
	e.Start(tb)
	tb.Cleanup(func() { e.srv.Close() })
	return e
}

func (e *embedded) Start(tb testing.TB) {
	tb.Helper()
	srv, err := kafkaserver.Start(e.conf)
	if err != nil {
		tb.Fatal(err)
	}
	e.srv, e.addr = srv, srv.Addrs()[0]
}

func (e *embedded) Stop(testing.TB) { e.srv.Close() }

func (e *embedded) Addr() string { return e.addr }

// startBroker is an embedded server as a promise needs it. What other brokers
// divide into shares lies in partitions here, so promises of several lanes to a
// log get four.
func startBroker(tb testing.TB, base Config) *broker {
	tb.Helper()
	return prepared(tb, newBroker(startEmbedded(tb), base))
}

func prepared(tb testing.TB, b *broker) *broker {
	tb.Helper()
	name := path.Base(tb.Name())
	if strings.Contains(name, "Share") || name == "JoinerWaitsForDraining" || name == "CommitsTogetherAreEachTheirOwn" {
		b.base.Partitions = 4
	}
	return b
}
