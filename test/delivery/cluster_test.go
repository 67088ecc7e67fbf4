package delivery

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// clustered is a world over a cluster of three; each client knows all nodes.
func clustered(t *testing.T) (*world, *brokertest.Cluster) {
	t.Helper()
	c := brokertest.StartCluster(t, 3)
	w := newWorld(t, chaos.OrdersTopic, nil)
	w.broker = &clusterBroker{natsBroker{t: t}, c.URLs()}
	w.lease, w.log, w.ceiling = 2*time.Second, "AMPY_DEV_ORDERS", time.Minute
	w.main = w.broker.client()
	w.Connect(w.main.transport(), ampybus.Options{PublishCeiling: w.ceiling})
	t.Cleanup(func() { _ = w.Bus.Close() })
	return w, c
}

type clusterBroker struct {
	natsBroker
	urls string
}

func (b *clusterBroker) client() client {
	b.t.Helper()
	tr, err := natsbinding.Dial(chaos.NATS(b.urls))
	if err != nil {
		b.t.Fatal(err)
	}
	return plainClient{tr}
}

// stepDown makes the stream's leader give way; false when there is none at the
// moment.
func stepDown(ctx context.Context, urls, stream string) bool {
	nc, err := nats.Connect(urls)
	if err != nil {
		return false
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil)
	return err == nil && strings.Contains(string(m.Data), `"success":true`)
}

// lastSequences is where each running node believes the stream to end.
func lastSequences(c *brokertest.Cluster, stream string) (last []uint64) {
	for i := range 3 {
		s := c.Server(i)
		if s == nil {
			continue
		}
		info, err := s.Native().Jsz(&server.JSzOptions{Accounts: true, Streams: true})
		if err != nil {
			continue
		}
		for _, a := range info.AccountDetails {
			for _, d := range a.Streams {
				if d.Name == stream {
					last = append(last, d.State.LastSeq)
				}
			}
		}
	}
	return last
}

func TestABouncingClusterLosesNothing(t *testing.T) {
	w, c := clustered(t)
	n, bounces, steps := scaled(4000, 30_000), scaled(4, 20), scaled(8, 20)
	w.All(1, 1)
	a, b := w.join("a", w.consumer(), w.Apply("a")), w.join("b", w.consumer(), w.Apply("b"))
	l := w.Publish(n-1, 50, 300)
	stepped, bounced := 0, 0
	for i, kind := range w.Dice.Perm(bounces + steps) {
		l.Settled.Await(t.Context(), (i+1)*n/(bounces+steps+2))
		if kind >= bounces {
			w.Until("no leader steps down", func() bool { return stepDown(t.Context(), c.URLs(), w.log) })
			stepped++
			continue
		}
		down := 1 + w.Dice.IntN(scaled(2, 3))
		first := w.Dice.IntN(3)
		for j := range down {
			c.Stop((first + j) % 3)
		}
		w.Wait(w.Between(0, 2*time.Second))
		for j := range down {
			c.Start((first + j) % 3)
		}
		c.WaitLeader()
		bounced++
	}
	<-l.Done
	w.Progress(n)
	w.Drained()
	a.mustLeave()
	b.mustLeave()
	w.Until("the nodes do not agree", func() bool {
		last := lastSequences(c, w.log)
		return len(last) == 3 && last[0] == uint64(n) && last[1] == last[0] && last[2] == last[0]
	})
	r := w.Check(ampytest.Rules{})
	if r.Applied != n {
		t.Errorf("%d of %d applied", r.Applied, n)
	}
	t.Logf("%d bounces, %d leaders stepped down, %d attempts uncertain", bounced, stepped, w.Unsure())
	w.AtLeast("bounces", bounced, bounces)
	w.AtLeast("leaders that stepped down", stepped, steps)
	w.AtLeast("attempts repeated", r.Attempts-r.Published, 50)
}
