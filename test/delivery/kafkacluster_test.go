package delivery

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
)

// kafkaCluster is an embedded Kafka of three nodes. What they hold is common to
// them, so this is about clients that must find who leads now; that nothing is
// lost with a node is shown on real ones.
type kafkaCluster struct {
	kafkaBroker
	srv     *kafkaserver.Server
	ports   []int
	proxies []*chaos.Proxy // one in front of each node
}

func startKafkaCluster(t *testing.T) *kafkaCluster {
	t.Helper()
	ports := []int{brokertest.FreePort(t), brokertest.FreePort(t), brokertest.FreePort(t)}
	srv, err := kafkaserver.Start(kafkaserver.Config{Ports: ports, MinSession: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	c := &kafkaCluster{kafkaBroker: kafkaBroker{t: t}, srv: srv, ports: ports}
	for _, port := range ports {
		c.proxies = append(c.proxies, chaos.StartProxy(t, hostPort(port)))
	}
	return c
}

func hostPort(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (c *kafkaCluster) dial() driver.Transport {
	c.t.Helper()
	conf := chaos.Kafka(c.srv.Addrs()...)
	conf.Partitions, conf.DialContext = 6, c.connect
	tr, err := kafkabinding.Dial(conf)
	if err != nil {
		c.t.Fatal(err)
	}
	return tr
}

func (c *kafkaCluster) client() client { return plainClient{c.dial()} }

// connect goes through the proxy of the node at addr.
func (c *kafkaCluster) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	for i, port := range c.ports {
		if addr == hostPort(port) {
			addr = c.proxies[i].Addr()
		}
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// bounce takes a node away with its connections, and brings it back on its port.
func (c *kafkaCluster) bounce(w *world, node int32, port int) {
	if err := c.srv.Native().RemoveNode(node); err != nil {
		c.t.Errorf("remove node %d: %v", node, err)
		return
	}
	c.proxies[node].Reset()
	w.Wait(w.Between(0, time.Second))
	if _, _, err := c.srv.Native().AddNode(node, port); err != nil {
		c.t.Errorf("add node %d: %v", node, err)
	}
}

func TestABouncingKafkaClusterLosesNothing(t *testing.T) {
	c := startKafkaCluster(t)
	w := newWorld(t, chaos.OrdersTopic, c)
	w.lease = 2 * time.Second
	w.main = c.client()
	w.Connect(w.main.transport(), ampybus.Options{PublishCeiling: time.Minute})
	t.Cleanup(func() { _ = w.Bus.Close() })
	n, bounces, moves := scaled(6000, 30_000), scaled(6, 20), scaled(20, 60)
	w.All(1, 1)
	a, b := w.join("a", w.consumer(), w.Apply("a")), w.join("b", w.consumer(), w.Apply("b"))
	l := w.Publish(n-1, 50, 300)
	for i, kind := range w.Dice.Perm(bounces + moves) {
		l.Settled.Await(t.Context(), (i+1)*n/(bounces+moves+2))
		switch {
		case kind < bounces:
			node := w.Dice.IntN(3)
			c.bounce(w, int32(node), c.ports[node])
		case kind%2 == 0:
			c.srv.Native().ShufflePartitionLeaders()
		default:
			c.srv.Native().RehashCoordinators()
		}
	}
	<-l.Done
	w.Progress(n)
	w.Drained()
	a.mustLeave()
	b.mustLeave()
	r := w.Check(ampytest.Rules{})
	if r.Applied != n {
		t.Errorf("%d of %d applied", r.Applied, n)
	}
	broken := 0
	for _, p := range c.proxies {
		broken += p.Stats().Resets
	}
	w.AtLeast("connections broken", broken, bounces)
	t.Logf("%d nodes bounced, %d times leaders or coordinators moved, %d attempts uncertain", bounces, moves, w.Unsure())
}
