package delivery

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
)

// kafkaDLQ holds the dead letters of dev.
const kafkaDLQ = "ampy.dev.dlq.v1"

// kafkaBroker is one node of Kafka, with a proxy in front of each client.
type kafkaBroker struct {
	t    *testing.T
	node kafkaNode
}

// kafkaNode is a Kafka in this process, or a real one.
type kafkaNode interface {
	addr() string
	stop()
	start()
	closeDLQ(full bool) (open func())
}

func onKafka(t *testing.T, topic string, scenario func(w *world)) {
	t.Helper()
	w := newWorld(t, topic, &kafkaBroker{t, startEmbeddedKafka(t)})
	w.first = 0
	w.lease, w.shortest, w.log = 2*time.Second, 600*time.Millisecond, kafkaLog(topic)
	w.run(scenario)
}

// kafkaLog is the one partition of a topic's domain.
func kafkaLog(topic string) string { return domainOf(topic) + ":0" }

func domainOf(topic string) string { return topic[:strings.LastIndexByte(topic, '.')] }

func (b *kafkaBroker) client() client {
	b.t.Helper()
	p := chaos.StartProxy(b.t, b.node.addr())
	c := chaos.Kafka(b.node.addr())
	c.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, p.Addr())
	}
	tr, err := kafkabinding.Dial(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return &proxied{tr, p}
}

func (b *kafkaBroker) outage() func() {
	b.node.stop()
	return b.node.start
}

func (b *kafkaBroker) closeDLQ(full bool) func() { return b.node.closeDLQ(full) }

func (b *kafkaBroker) truncate(log string, below uint64) {
	b.t.Helper()
	brokertest.Admin(b.t, []string{b.node.addr()}, func(ctx context.Context, adm *kadm.Client) error {
		at := make(kadm.Offsets)
		at.AddOffset(strings.TrimSuffix(log, ":0"), 0, int64(below), -1)
		resp, err := adm.DeleteRecords(ctx, at)
		if err != nil {
			return err
		}
		return resp.Error()
	})
}

// divide makes partitions, which are what members share here.
func (b *kafkaBroker) divide(n int) {
	b.t.Helper()
	brokertest.Admin(b.t, []string{b.node.addr()}, func(ctx context.Context, adm *kadm.Client) error {
		resp, err := adm.CreateTopic(ctx, int32(n), 1, nil, domainOf(chaos.OrdersTopic))
		if err != nil {
			return err
		}
		return resp.Err
	})
}

// embeddedKafka comes back on its port with what it held.
type embeddedKafka struct {
	t    *testing.T
	conf kafkaserver.Config
	srv  *kafkaserver.Server
}

func startEmbeddedKafka(t *testing.T) *embeddedKafka {
	t.Helper()
	e := &embeddedKafka{t: t, conf: kafkaserver.Config{
		Ports: []int{brokertest.FreePort(t)}, DataDir: t.TempDir(), MinSession: 100 * time.Millisecond,
	}}
	e.start()
	t.Cleanup(func() { e.srv.Close() })
	return e
}

func (e *embeddedKafka) start() {
	srv, err := kafkaserver.Start(e.conf)
	if err != nil {
		e.t.Error(err)
		return
	}
	e.srv = srv
}

func (e *embeddedKafka) stop() { e.srv.Close() }

func (e *embeddedKafka) addr() string { return e.srv.Addrs()[0] }

// closeDLQ denies writing dead letters, or answers as a broker does whose disk
// is full: its log directory is offline.
func (e *embeddedKafka) closeDLQ(full bool) func() {
	err := kerr.TopicAuthorizationFailed
	if full {
		err = kerr.KafkaStorageError
	}
	h := e.srv.Native().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: kafkaDLQ, Err: err, Count: -1})
	return h.Remove
}
