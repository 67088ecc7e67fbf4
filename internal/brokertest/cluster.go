package brokertest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/AmpyFin/ampy-bus/internal/natsserver"
)

// Cluster is a JetStream cluster of embedded servers.
type Cluster struct {
	tb    testing.TB
	nodes []node
}

type node struct {
	conf natsserver.Config
	srv  *natsserver.Server
}

// StartCluster runs n servers until the test ends and returns when they have a
// leader. Each tune may change every server's configuration first.
func StartCluster(tb testing.TB, n int, tune ...func(*natsserver.Config)) *Cluster {
	tb.Helper()
	routes := make([]*url.URL, n)
	routePorts := make([]int, n)
	for i := range routes {
		routePorts[i] = FreePort(tb)
		routes[i] = &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", routePorts[i])}
	}
	c := &Cluster{tb: tb}
	for i := range n {
		port := FreePort(tb)
		conf := natsserver.Config{
			Port: port, StoreDir: tb.TempDir(),
			Tune: func(o *server.Options) {
				o.ServerName = fmt.Sprintf("n%d", i)
				o.Cluster.Name = "test"
				o.Cluster.Host, o.Cluster.Port = "127.0.0.1", routePorts[i]
				o.Routes = routes
			},
		}
		for _, f := range tune {
			f(&conf)
		}
		c.nodes = append(c.nodes, node{conf: conf})
	}
	for i := range c.nodes {
		c.Start(i)
	}
	tb.Cleanup(func() {
		for i := range c.nodes {
			c.Stop(i)
		}
	})
	c.WaitLeader()
	return c
}

// URLs lists all servers, comma separated.
func (c *Cluster) URLs() string {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", n.conf.Port))
	}
	return strings.Join(urls, ",")
}

// Server is node i, nil while it is stopped.
func (c *Cluster) Server(i int) *natsserver.Server { return c.nodes[i].srv }

// Stop ends node i.
func (c *Cluster) Stop(i int) {
	if s := c.nodes[i].srv; s != nil {
		s.Close()
		c.nodes[i].srv = nil
	}
}

// Start runs a stopped node again on its data.
func (c *Cluster) Start(i int) {
	c.tb.Helper()
	s, err := natsserver.Start(c.nodes[i].conf)
	if err != nil {
		c.tb.Fatal(err)
	}
	c.nodes[i].srv = s
}

// WaitLeader returns when all running nodes follow one JetStream leader, and it
// counts on all of them.
func (c *Cluster) WaitLeader() {
	c.tb.Helper()
	c.await("the cluster has no JetStream leader", func() bool {
		current, leaders, peers := 0, 0, 0
		for _, n := range c.nodes {
			if n.srv == nil {
				continue
			}
			if n.srv.Native().JetStreamIsLeader() {
				leaders++
				peers = len(n.srv.Native().JetStreamClusterPeers())
			}
			if n.srv.Native().JetStreamIsCurrent() {
				current++
			}
		}
		return leaders == 1 && current == c.running() && peers == c.running()
	})
}

// StreamLeader is the node that leads stream, -1 when there is none.
func (c *Cluster) StreamLeader(stream string) int {
	for i, n := range c.nodes {
		if n.srv != nil && n.srv.Native().JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
			return i
		}
	}
	return -1
}

func (c *Cluster) running() int {
	up := 0
	for _, n := range c.nodes {
		if n.srv != nil {
			up++
		}
	}
	return up
}

func (c *Cluster) await(what string, ok func() bool) {
	c.tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			c.tb.Fatal(what)
		}
	}
}
