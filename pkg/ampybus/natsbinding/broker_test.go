package natsbinding

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(ownerEnv); url != "" {
		os.Exit(ownForParent(url))
	}
	brokertest.Main(m)
}

// testLease is short, because takeovers wait for it, and long enough to be
// renewed on a loaded machine.
const testLease = 1200 * time.Millisecond

// testPatience is short where failure is expected.
func testPatience() time.Duration {
	if os.Getenv("AMPY_MUTANT") != "" {
		return 6 * time.Second
	}
	return 30 * time.Second
}

// testAckTimeout keeps uncertain outcomes from taking long, and is enough for
// a loaded machine.
const testAckTimeout = 2500 * time.Millisecond

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// broker is an embedded server with a proxy in front of each client.
type broker struct {
	tb   testing.TB
	base Config

	mu      sync.Mutex
	conf    natsserver.Config
	srv     runningServer
	proxies map[driver.Transport]*brokertest.Proxy
}

// runningServer is embedded, or an executable of another version.
type runningServer interface {
	URL() string
	Close()
}

func startBroker(tb testing.TB, base Config) *broker {
	b := &broker{
		tb: tb, base: base,
		conf:    natsserver.Config{Port: brokertest.FreePort(tb), StoreDir: tb.TempDir()},
		proxies: make(map[driver.Transport]*brokertest.Proxy),
	}
	b.start(tb)
	tb.Cleanup(func() { b.srv.Close() })
	return b
}

func (b *broker) start(tb testing.TB) {
	tb.Helper()
	if os.Getenv(brokertest.BinaryEnv) != "" {
		b.srv = brokertest.StartBinary(tb, b.conf.Port, b.conf.StoreDir)
		return
	}
	srv, err := natsserver.Start(b.conf)
	if err != nil {
		tb.Fatal(err)
	}
	b.srv = srv
}

func (b *broker) Connect(tb testing.TB) driver.Transport {
	tb.Helper()
	p := brokertest.StartProxy(tb, strings.TrimPrefix(b.srv.URL(), "nats://"))
	c := b.base
	c.URL, c.AckTimeout, c.Logger = p.URL(), testAckTimeout, quiet()
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
	b.srv.Close()
	return func() { b.start(tb) }
}

func (b *broker) Truncate(tb testing.TB, log string, below uint64) {
	tb.Helper()
	t := b.plain(tb)
	s, err := t.js.Stream(tb.Context(), log)
	if err == nil {
		err = s.Purge(tb.Context(), jetstream.WithPurgeSequence(below))
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func (b *broker) Groups(tb testing.TB) []string {
	tb.Helper()
	t := b.plain(tb)
	var names []string
	streams := t.js.StreamNames(tb.Context())
	for stream := range streams.Name() {
		s, err := t.js.Stream(tb.Context(), stream)
		if err != nil {
			tb.Fatal(err)
		}
		consumers := s.ConsumerNames(tb.Context())
		for c := range consumers.Name() {
			names = append(names, stream+"/"+c)
		}
	}
	kv, err := t.js.KeyValue(tb.Context(), leaseBucket)
	if err != nil {
		return names
	}
	keys, err := kv.ListKeys(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for k := range keys.Keys() {
		names = append(names, leaseBucket+"/"+k)
	}
	return names
}

// plain is a connection for looking at the server, past all proxies.
func (b *broker) plain(tb testing.TB) *Transport {
	tb.Helper()
	t, err := Dial(Config{URL: b.srv.URL(), Logger: quiet()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = t.Close(context.Background()) })
	return t
}
