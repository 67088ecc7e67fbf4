//go:build chaos

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
)

const (
	kafkaTopic      = "ampy.dev.orders.v1"
	kafkaPartitions = 6
	// kafkaLease is above what the election of a coordinator takes mostly.
	kafkaLease = 3 * time.Second
)

// atKafka is a scene on the brokers of addrs.
func atKafka(t *testing.T, addrs []string) *chaos.Scene {
	t.Helper()
	s := chaos.NewScene(t, chaos.OrdersTopic)
	c := chaos.Kafka(addrs...)
	c.Partitions = kafkaPartitions
	tr, err := kafkabinding.Dial(c)
	if err != nil {
		t.Fatal(err)
	}
	s.Connect(tr, ampybus.Options{PublishCeiling: 10 * time.Minute, CloseTimeout: time.Second})
	t.Cleanup(func() { _ = s.Bus.Close() })
	return s
}

// atOneKafka is a scene on one real node. What its group owns is a partition's,
// so its topic has several.
func atOneKafka(t *testing.T) (*chaos.Scene, string) {
	t.Helper()
	node := brokertest.StartKafka(t, 1)
	node.Warm(t)
	return atKafka(t, node.Addrs()), "kafka://" + node.Addrs()[0]
}

// kafkaNodes are three real nodes with one topic.
type kafkaNodes struct {
	*brokertest.KafkaCluster
	s *chaos.Scene
}

func (c *kafkaNodes) admin(f func(context.Context, *kadm.Client) error) {
	c.s.TB.Helper()
	brokertest.Admin(c.s.TB, c.Addrs(), f)
}

// leader is the node that leads a partition.
func (c *kafkaNodes) leader(partition int32) (node int) {
	c.s.TB.Helper()
	c.admin(func(ctx context.Context, adm *kadm.Client) error {
		topics, err := adm.ListTopics(ctx, kafkaTopic)
		if err == nil {
			node = int(topics[kafkaTopic].Partitions[partition].Leader) - 1
		}
		return err
	})
	return node
}

// whole waits until each node has all that is stored.
func (c *kafkaNodes) whole() {
	c.s.TB.Helper()
	c.admin(func(ctx context.Context, adm *kadm.Client) error {
		c.s.Until("a replica does not catch up", func() bool {
			topics, err := adm.ListTopics(ctx, kafkaTopic)
			if err != nil || len(topics[kafkaTopic].Partitions) < kafkaPartitions {
				return false
			}
			for _, p := range topics[kafkaTopic].Partitions {
				if len(p.ISR) < 3 || p.Leader < 0 {
					return false
				}
			}
			return true
		})
		return nil
	})
}

// TestLeaderKillsOnRealKafka kills the leaders of partitions one after the
// other, and members of the group besides; then two of three nodes at once:
// with one replica left nothing is acknowledged.
func TestLeaderKillsOnRealKafka(t *testing.T) {
	const keys, window, per = 100, 500, 3000
	kills := full(15, 3)
	n := per * (kills + 1)
	cluster := brokertest.StartKafka(t, 3)
	brokertest.Admin(t, cluster.Addrs(), func(ctx context.Context, adm *kadm.Client) error {
		resp, err := adm.CreateTopic(ctx, kafkaPartitions, 3, map[string]*string{
			"min.insync.replicas": kadm.StringPtr("2"), "message.timestamp.type": kadm.StringPtr("LogAppendTime"),
		}, kafkaTopic)
		if err != nil {
			return err
		}
		return resp.Err
	})
	s := atKafka(t, cluster.Addrs())
	c := &kafkaNodes{cluster, s}
	c.whole()
	names := []string{"a", "b", "c"}
	x := start(s, "kafka://"+strings.Join(c.Addrs(), ","))
	x.spec.Lease = kafkaLease
	for _, name := range names {
		x.start(name)
	}
	churned := 0
	for i := range kills {
		leader := c.leader(int32(i % kafkaPartitions))
		l := s.Publish(per, keys, window)
		l.Settled.Await(t.Context(), per/4)
		c.Kill(leader)
		x.kill(names[s.Dice.IntN(len(names))])
		churned++
		<-l.Done // two of three are enough
		c.Restart(leader)
		c.whole()
	}
	held := c.onlyOneLeft(s.Publish(per, keys, window), per)
	s.Progress(n)
	s.Drained()
	x.end()
	r := s.Check(ampytest.Rules{})
	s.AtLeast("applied", r.Applied, n)
	s.AtLeast("members that died", churned, kills)
	s.AtLeast("seconds in which nothing was acknowledged", int(held/time.Second), 3)
	s.Figures(*page, "three nodes of Kafka", fmt.Sprintf(
		"%d × SIGKILL of a leader, %d × of a member, 2 of 3 nodes once; %d attempts uncertain", kills, churned, s.Unsure()), r)
}

// onlyOneLeft kills two nodes under a load of n messages, and returns how long
// nothing was acknowledged. They are all stored in the end.
func (c *kafkaNodes) onlyOneLeft(l *chaos.Load, n int) time.Duration {
	c.s.TB.Helper()
	l.Settled.Await(c.s.TB.Context(), n/4)
	c.Kill(0)
	c.Kill(1)
	c.s.Wait(2 * time.Second) // what was on its way
	before, began := l.Settled.Value(), time.Now()
	c.s.Wait(4 * time.Second)
	held := time.Since(began)
	if n := l.Settled.Value() - before; n > 0 {
		c.s.TB.Errorf("%d messages were acknowledged with one replica of three alive", n)
	}
	select {
	case <-l.Done:
		c.s.TB.Error("vacuous: there was nothing left to acknowledge")
	default:
	}
	c.Launch(0, 1)
	<-l.Done
	c.whole()
	return held
}

// runKafka is an embedded Kafka in a process of its own, until it is killed.
func runKafka(args []byte) error {
	var c kafkaserver.Config
	if err := json.Unmarshal(args, &c); err != nil {
		return err
	}
	srv, err := kafkaserver.Start(c)
	if err != nil {
		return err
	}
	chaos.Say("ready", srv.Addrs()[0])
	select {}
}

// TestKillsOfAnEmbeddedKafka kills the server of `kafkabusctl server` twenty
// times. What it wrote to its directory is there again.
func TestKillsOfAnEmbeddedKafka(t *testing.T) {
	const n, keys, kills = 20_000, 100, 20
	conf := kafkaserver.Config{Ports: []int{brokertest.FreePort(t)}, DataDir: t.TempDir(), MinSession: 100 * time.Millisecond}
	srv := chaos.Start(t, "kafka", conf)
	addr := srv.Await(t, "ready")
	s := atKafka(t, []string{addr})
	x := start(s, "kafka://"+addr, "a", "b")
	l := s.Publish(n, keys, 500)
	for i := range kills {
		s.Progress((i + 1) * n / (kills + 2))
		srv.Kill()
		srv = chaos.Start(t, "kafka", conf)
		srv.Await(t, "ready")
	}
	<-l.Done
	s.Progress(n)
	s.Drained()
	x.end()
	r := s.Check(ampytest.Rules{})
	s.AtLeast("applied", r.Applied, n)
	s.Figures(*page, "an embedded Kafka", fmt.Sprintf("%d × SIGKILL; %d attempts uncertain", kills, s.Unsure()), r)
}
