package natsbinding

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
)

// verdicts runs Doctor and returns what it found by check.
func verdicts(t *testing.T, c Config) map[string]Finding {
	t.Helper()
	c.Logger = quiet()
	found := make(map[string]Finding)
	for _, f := range Doctor(t.Context(), c) {
		found[f.Check] = f
		if f.Title == "" || f.Why == "" || (f.Fix == "" && f.Verdict != Holds && f.Check != "clock") {
			t.Errorf("%s: a finding without words: %+v", f.Check, f)
		}
	}
	return found
}

func expectVerdicts(t *testing.T, found map[string]Finding, want map[string]Verdict) {
	t.Helper()
	for check, v := range want {
		if found[check].Verdict != v {
			t.Errorf("%s: %+v, want %s", check, found[check], v)
		}
	}
}

func TestDoctorJudgesBrokers(t *testing.T) {
	orders := func(change func(*jetstream.StreamConfig)) func(*testing.T, *Transport) {
		return func(t *testing.T, tr *Transport) {
			c := jetstream.StreamConfig{Name: "AMPY_DEV_ORDERS", Subjects: []string{"ampy.dev.orders.>"}, Discard: jetstream.DiscardNew, Duplicates: time.Hour}
			change(&c)
			makeStream(t, tr, c)
		}
	}
	for name, b := range map[string]struct {
		tune  func(*natsserver.Config)
		conf  func(*Config, *natsserver.Server)
		setUp func(*testing.T, *Transport)
		want  map[string]Verdict
	}{
		"defaults, monitored": {
			tune: func(c *natsserver.Config) { c.MonitorPort = natsserver.RandomPort },
			conf: func(c *Config, s *natsserver.Server) { c.MonitorURL = s.MonitorURL() },
			want: map[string]Verdict{"server": Holds, "version": Holds, "sync": Fails, "P1": Partly, "P3": Holds, "P4": Holds, "P6": Holds, "P13": Fails, "P14": Fails, "identity": Fails},
		},
		"synced, single": {
			tune: func(c *natsserver.Config) { c.MonitorPort, c.SyncAlways = natsserver.RandomPort, true },
			conf: func(c *Config, s *natsserver.Server) { c.MonitorURL = s.MonitorURL() },
			want: map[string]Verdict{"sync": Holds, "replicas": Fails, "P1": Partly},
		},
		"not monitored": {
			want: map[string]Verdict{"sync": Unknown, "P1": Partly},
		},
		"monitored by something else": {
			conf: func(c *Config, s *natsserver.Server) {
				c.MonitorURL = strings.Replace(s.URL(), "nats://", "http://", 1)
			},
			want: map[string]Verdict{"sync": Unknown},
		},
		"user": {
			tune: func(c *natsserver.Config) { c.User, c.Pass = "u", "p" },
			conf: func(c *Config, _ *natsserver.Server) { c.User, c.Pass = "u", "p" },
			want: map[string]Verdict{"identity": Holds, "P14": Unknown},
		},
		"stream of ours": {
			setUp: func(t *testing.T, tr *Transport) { publishOne(t, tr, "1") },
			want:  map[string]Verdict{"streams": Holds, "clock": Holds, "P3": Holds, "P7": Holds},
		},
		"adopted": {
			setUp: func(t *testing.T, tr *Transport) {
				makeStream(t, tr, jetstream.StreamConfig{Name: "AMPY", Subjects: []string{"ampy.>"}})
			},
			want: map[string]Verdict{"streams": Partly, "P3": Fails},
		},
		"in memory": {
			setUp: orders(func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }),
			want:  map[string]Verdict{"streams": Partly, "P1": Fails},
		},
		"short window": {
			setUp: orders(func(c *jetstream.StreamConfig) { c.Duplicates = time.Second }),
			want:  map[string]Verdict{"streams": Partly, "P3": Partly},
		},
		"drops when full": {
			setUp: orders(func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 100 }),
			want:  map[string]Verdict{"streams": Partly, "P6": Partly},
		},
		"somebody gives up": {
			setUp: func(t *testing.T, tr *Transport) {
				publishOne(t, tr, "1")
				_, err := tr.js.CreateConsumer(t.Context(), "AMPY_DEV_ORDERS", jetstream.ConsumerConfig{Durable: "x", MaxDeliver: 5, AckPolicy: jetstream.AckExplicitPolicy})
				if err != nil {
					t.Fatal(err)
				}
			},
			want: map[string]Verdict{"P6": Partly},
		},
		"room for large payloads": {
			tune: func(c *natsserver.Config) { c.MaxPayload = 2 << 20 },
			want: map[string]Verdict{"max_payload": Holds},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := brokertest.Start(t, func(c *natsserver.Config) {
				if b.tune != nil {
					b.tune(c)
				}
			})
			c := Config{URL: s.URL()}
			if b.conf != nil {
				b.conf(&c, s)
			}
			if b.setUp != nil {
				b.setUp(t, dial(t, c))
			}
			expectVerdicts(t, verdicts(t, c), b.want)
		})
	}
}

func TestDoctorOnAProperCluster(t *testing.T) {
	ca := brokertest.NewCA(t, "ca")
	c := brokertest.StartCluster(t, 3, func(n *natsserver.Config) {
		n.SyncAlways, n.TLS, n.MonitorPort, n.MaxPayload = true, ca.ServerTLS(ca.Pool()), natsserver.RandomPort, 2<<20
	})
	dir := t.TempDir()
	cert, key := ca.Issue("client", time.Now().Add(time.Hour))
	conf := Config{
		URL: c.URLs(), MonitorURL: c.Server(0).MonitorURL(),
		TLS: TLS{
			CAFile:   brokertest.WriteFile(t, dir, "ca.pem", ca.PEM()),
			CertFile: brokertest.WriteFile(t, dir, "c.pem", cert), KeyFile: brokertest.WriteFile(t, dir, "c.key", key),
		},
	}
	tr := dial(t, conf)
	publishOne(t, tr, "1")
	if o := outcomes(t, tr, record("ampy.dev.dlq.v1.orders", "2"))[0]; o.Err != nil {
		t.Fatal(o.Err)
	}
	expectVerdicts(t, verdicts(t, conf), map[string]Verdict{
		"sync": Holds, "replicas": Holds, "streams": Holds, "identity": Holds, "max_payload": Holds,
		"P1": Holds, "P3": Holds, "P4": Holds, "P6": Holds, "P7": Holds, "P13": Holds,
	})
}

func TestDoctorSaysWhyItCannotConnect(t *testing.T) {
	s := brokertest.Start(t, func(c *natsserver.Config) { c.Token = "x" })
	off := brokertest.Start(t, func(c *natsserver.Config) { c.NoJetStream = true })
	for word, c := range map[string]Config{
		"credentials":   {URL: s.URL()},
		"-js":           {URL: off.URL()},
		"configuration": {URL: "http://x"},
		"ampybusctl":    {URL: fmt.Sprintf("nats://127.0.0.1:%d", brokertest.FreePort(t))},
	} {
		c.Logger = quiet()
		found := Doctor(t.Context(), c)
		if len(found) != 1 || found[0].Verdict != Fails || !strings.Contains(found[0].Title+found[0].Why+found[0].Fix, word) {
			t.Errorf("%s: %+v", word, found)
		}
	}
}
