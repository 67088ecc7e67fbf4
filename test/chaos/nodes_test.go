//go:build chaos

package chaos

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
)

// node is what a server process of a cluster is told.
type node struct {
	Name              string
	Port, ClusterPort int
	Routes            []string
	StoreDir          string
}

// runNode is a server of a cluster, until it is killed.
func runNode(args []byte) error {
	var n node
	if err := json.Unmarshal(args, &n); err != nil {
		return err
	}
	s, err := natsserver.Start(natsserver.Config{Port: n.Port, StoreDir: n.StoreDir, Tune: func(o *server.Options) {
		o.ServerName, o.Cluster.Name = n.Name, "chaos"
		o.Cluster.Host, o.Cluster.Port = "127.0.0.1", n.ClusterPort
		for _, r := range n.Routes {
			u, err := url.Parse(r)
			if err == nil {
				o.Routes = append(o.Routes, u)
			}
		}
	}})
	if err != nil {
		return err
	}
	chaos.Say("ready")
	s.Wait()
	return nil
}

// nodes is a cluster of server processes.
type nodes struct {
	t     *testing.T
	specs []node
	procs []*chaos.Child
}

func startNodes(t *testing.T, n int) *nodes {
	t.Helper()
	c := &nodes{t: t, specs: make([]node, n), procs: make([]*chaos.Child, n)}
	var routes []string
	for i := range c.specs {
		c.specs[i] = node{
			Name: fmt.Sprintf("n%d", i), StoreDir: t.TempDir(),
			Port: brokertest.FreePort(t), ClusterPort: brokertest.FreePort(t),
		}
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", c.specs[i].ClusterPort))
	}
	for i := range c.specs {
		c.specs[i].Routes = routes
		c.procs[i] = chaos.Start(t, "node", c.specs[i])
	}
	for _, p := range c.procs {
		p.Await(t, "ready")
	}
	c.ready()
	return c
}

func (c *nodes) urls() string {
	var urls []string
	for _, n := range c.specs {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", n.Port))
	}
	return strings.Join(urls, ",")
}

// kill ends nodes with SIGKILL, all of them before the first is started again.
func (c *nodes) kill(which ...int) {
	c.t.Helper()
	for _, i := range which {
		c.procs[i].Kill()
	}
	for _, i := range which {
		c.procs[i] = chaos.Start(c.t, "node", c.specs[i])
	}
	for _, i := range which {
		c.procs[i].Await(c.t, "ready")
	}
}

// ready waits until the cluster has a leader for its streams again.
func (c *nodes) ready() {
	c.t.Helper()
	nc, err := nats.Connect(c.urls(), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		c.t.Fatal(err)
	}
	defer nc.Close()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		m, err := nc.Request("$JS.API.STREAM.NAMES", nil, time.Second)
		if err == nil && !strings.Contains(string(m.Data), `"error"`) {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			c.t.Fatalf("the cluster has no leader: %v", err)
		}
	}
}
