package natsbinding

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/doctor"
)

// verdicts expects exactly these findings not to hold, and each with its words.
func verdicts(t *testing.T, c Config, want string) {
	t.Helper()
	c.Logger = quiet()
	found := Doctor(t.Context(), c)
	for _, f := range found {
		if f.Title == "" || f.Why == "" || (f.Fix == "" && f.Verdict != doctor.Holds && f.Check != "clock") {
			t.Errorf("%s: a finding without words: %+v", f.Check, f)
		}
	}
	if got := doctor.Short(found); got != want {
		t.Errorf("does not hold:\n%s, want\n%s", got, want)
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
		want  string
	}{
		"defaults, monitored": {
			tune: func(c *natsserver.Config) { c.MonitorPort = natsserver.RandomPort },
			conf: func(c *Config, s *natsserver.Server) { c.MonitorURL = s.MonitorURL() },
			want: "identity=fails sync=fails replicas=fails max_payload=partly clock=unknown P1=partly P9=unknown P13=fails P14=fails P16=unknown",
		},
		"synced, single": {
			tune: func(c *natsserver.Config) { c.MonitorPort, c.SyncAlways = natsserver.RandomPort, true },
			conf: func(c *Config, s *natsserver.Server) { c.MonitorURL = s.MonitorURL() },
			want: "identity=fails replicas=fails max_payload=partly clock=unknown P1=partly P9=unknown P13=fails P14=fails P16=unknown",
		},
		"not monitored": {
			want: "identity=fails sync=unknown replicas=fails max_payload=partly clock=unknown P1=partly P9=unknown P13=fails P14=fails P16=unknown P17=partly",
		},
		"monitored by something else": {
			conf: func(c *Config, s *natsserver.Server) {
				c.MonitorURL = strings.Replace(s.URL(), "nats://", "http://", 1)
			},
			want: "identity=fails sync=unknown replicas=fails max_payload=partly clock=unknown P1=partly P9=unknown P13=fails P14=fails P16=unknown P17=partly",
		},
		"user": {
			tune: func(c *natsserver.Config) { c.User, c.Pass = "u", "p" },
			conf: func(c *Config, _ *natsserver.Server) { c.User, c.Pass = "u", "p" },
			want: "sync=unknown replicas=fails max_payload=partly clock=unknown P1=partly P9=unknown P13=fails P14=unknown P16=unknown P17=partly",
		},
		"stream of ours": {
			setUp: func(t *testing.T, tr *Transport) { publishOne(t, tr, "1") },
			want:  "identity=fails sync=unknown replicas=fails max_payload=partly P1=partly P9=unknown P13=fails P14=fails P16=unknown P17=partly",
		},
		"adopted": {
			setUp: func(t *testing.T, tr *Transport) {
				makeStream(t, tr, jetstream.StreamConfig{Name: "AMPY", Subjects: []string{"ampy.>"}})
			},
			want: "identity=fails sync=unknown replicas=fails streams=partly max_payload=partly P1=partly P3=fails P9=unknown P13=fails P14=fails P16=unknown P17=partly",
		},
		"in memory": {
			setUp: orders(func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }),
			want:  "identity=fails sync=unknown replicas=fails streams=partly batches=partly max_payload=partly P1=fails P9=unknown P13=fails P14=fails P16=unknown P17=partly",
		},
		"short window": {
			setUp: orders(func(c *jetstream.StreamConfig) { c.Duplicates = time.Second }),
			want:  "identity=fails sync=unknown replicas=fails streams=partly batches=partly max_payload=partly P1=partly P3=partly P9=unknown P13=fails P14=fails P16=unknown P17=partly",
		},
		"drops when full": {
			setUp: orders(func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 100 }),
			want:  "identity=fails sync=unknown replicas=fails streams=partly batches=partly max_payload=partly P1=partly P6=partly P9=unknown P13=fails P14=fails P16=unknown P17=partly",
		},
		"somebody gives up": {
			setUp: func(t *testing.T, tr *Transport) {
				publishOne(t, tr, "1")
				_, err := tr.js.CreateConsumer(t.Context(), "AMPY_DEV_ORDERS", jetstream.ConsumerConfig{Durable: "x", MaxDeliver: 5, AckPolicy: jetstream.AckExplicitPolicy})
				if err != nil {
					t.Fatal(err)
				}
			},
			want: "identity=fails sync=unknown replicas=fails max_payload=partly P1=partly P6=partly P9=unknown P13=fails P14=fails P16=unknown P17=partly",
		},
		"room for large payloads": {
			tune: func(c *natsserver.Config) { c.MaxPayload = 2 << 20 },
			want: "identity=fails sync=unknown replicas=fails clock=unknown P1=partly P9=unknown P13=fails P14=fails P16=unknown P17=partly",
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
			verdicts(t, c, b.want)
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
	// New streams of a cluster have no leader at first.
	publishUntilStored(t, tr, "1")
	untilStored(t, tr, record("ampy.dev.dlq.v1.orders", "2"))
	verdicts(t, conf, "P9=unknown P14=unknown P16=unknown")
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
		if len(found) != 1 || found[0].Verdict != doctor.Fails || !strings.Contains(found[0].Title+found[0].Why+found[0].Fix, word) {
			t.Errorf("%s: %+v", word, found)
		}
	}
}
