package delivery

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
)

// TestDeliveryOnRealKafka runs the scenarios on one node of Apache Kafka, which
// all of them share.
func TestDeliveryOnRealKafka(t *testing.T) {
	node := startRealKafka(t)
	for _, s := range []struct {
		name  string
		topic string
		run   func(*world)
	}{
		{"outages", chaos.OrdersTopic, brokerOutages},
		{"broken connections", chaos.OrdersTopic, brokenConnections},
		{"no answers", chaos.OrdersTopic, deafPublisher},
		{"takeovers", chaos.OrdersTopic, takeovers},
		{"lost acknowledgements", chaos.OrdersTopic, lostAcks},
		{"shares", chaos.OrdersTopic, shares},
		{"poison", chaos.NewsTopic, poisonMix},
		{"parked keys", chaos.OrdersTopic, parkedKey},
		{"before poison", chaos.OrdersTopic, beforePoison},
		{"dead letters closed", chaos.NewsTopic, dlqClosed},
		{"redrive, skip", chaos.NewsTopic, redriveCrashes},
		{"redrive, park", chaos.OrdersTopic, redriveCrashes},
		{"forged target", chaos.NewsTopic, forgedTarget},
		{"dead dependency", chaos.NewsTopic, deadDependency},
		{"gaps", chaos.OrdersTopic, gapsReported},
	} {
		t.Run(s.name, func(t *testing.T) {
			node.cluster.Empty(t)
			w := newWorld(t, s.topic, &kafkaBroker{t, node})
			w.first, w.slow = 0, true
			w.lease, w.shortest, w.log = 2*time.Second, time.Second, kafkaLog(s.topic)
			w.run(s.run)
		})
	}
}

// realKafka is one node of Apache Kafka.
type realKafka struct {
	t       *testing.T
	cluster *brokertest.KafkaCluster
}

func startRealKafka(t *testing.T) *realKafka {
	t.Helper()
	if env := os.Getenv(brokertest.KafkaEnv); strings.Contains(env, ":") {
		t.Skipf("SKIPPED: outages need a Kafka that the test may kill; %s names one elsewhere", brokertest.KafkaEnv)
	}
	cluster := brokertest.StartKafka(t, 1, map[string]string{
		"authorizer.class.name":          "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"allow.everyone.if.no.acl.found": "true",
	})
	cluster.Warm(t)
	return &realKafka{t, cluster}
}

func (r *realKafka) addr() string { return r.cluster.Addrs()[0] }
func (r *realKafka) stop()        { r.cluster.Kill(0) }
func (r *realKafka) start()       { r.cluster.Restart(0) }

// closeDLQ lets nobody write dead letters, or makes their topic take none of
// their size: Kafka has no full topics, and one replica is always enough for it
// where there is only one.
func (r *realKafka) closeDLQ(full bool) func() {
	r.t.Helper()
	if full {
		r.maxBytes("1")
		return func() { r.maxBytes("1048588") }
	}
	acls := kadm.NewACLs().Topics(kafkaDLQ).ResourcePatternType(kadm.ACLPatternLiteral).
		Operations(kadm.OpRead, kadm.OpDescribe).Allow("User:ANONYMOUS").AllowHosts()
	r.admin(func(ctx context.Context, adm *kadm.Client) error {
		_, err := adm.CreateACLs(ctx, acls)
		return err
	})
	return func() {
		r.admin(func(ctx context.Context, adm *kadm.Client) error {
			_, err := adm.DeleteACLs(ctx, acls)
			return err
		})
	}
}

func (r *realKafka) maxBytes(n string) {
	r.t.Helper()
	r.admin(func(ctx context.Context, adm *kadm.Client) error {
		_, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "max.message.bytes", Value: &n}}, kafkaDLQ)
		return err
	})
}

func (r *realKafka) admin(f func(context.Context, *kadm.Client) error) {
	r.t.Helper()
	brokertest.Admin(r.t, r.cluster.Addrs(), f)
}
