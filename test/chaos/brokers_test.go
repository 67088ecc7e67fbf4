//go:build chaos

package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// TestKillsOfTheBroker kills a single server thirty times, with each sync
// setting. A kill is no power cut: what the kernel holds survives it.
func TestKillsOfTheBroker(t *testing.T) {
	for name, always := range map[string]bool{"sync always": true, "default sync": false} {
		t.Run(name, func(t *testing.T) {
			const keys, kills = 100, 30
			n := 30_000
			if always {
				n = 10_000 // each acknowledgement waits for the disk
			}
			srv := brokertest.StartProcess(t, always)
			s := at(t, srv.URL())
			x := start(s, srv.URL(), "a", "b")
			l := s.Publish(n, keys, 500)
			for i := range kills {
				s.Progress((i + 1) * n / (kills + 2))
				srv.Restart()
			}
			<-l.Done
			s.Progress(n)
			s.Drained()
			x.end()
			r := s.Check(ampytest.Rules{})
			s.AtLeast("applied", r.Applied, n)
			s.AtLeast("attempts repeated", r.Attempts-n, kills)
			s.Figures(*page, "one server, "+name, fmt.Sprintf("%d × SIGKILL; %d attempts uncertain", kills, s.Unsure()), r)
		})
	}
}

// TestAFrozenBroker stops the server for five seconds: nothing that it stored
// in the end may be reported as failed.
func TestAFrozenBroker(t *testing.T) {
	const n, keys, stops = 20_000, 100, 20
	srv := brokertest.StartProcess(t, false)
	s := at(t, srv.URL())
	x := start(s, srv.URL(), "a", "b")
	l := s.Publish(n, keys, 500)
	for i := range stops {
		l.Settled.Await(t.Context(), (i+1)*n/(stops+2))
		srv.Stop()
		s.Wait(5 * time.Second)
		srv.Continue()
	}
	<-l.Done
	s.Progress(n)
	s.Drained()
	x.end()
	r := s.Check(ampytest.Rules{})
	s.AtLeast("applied", r.Applied, n)
	s.AtLeast("attempts uncertain", s.Unsure(), stops)
	s.Figures(*page, "server stopped for 5 s", fmt.Sprintf("%d × SIGSTOP; %d attempts uncertain", stops, s.Unsure()), r)
}

// TestKillsInACluster kills nodes of a cluster one after the other, and then
// all of them at once.
func TestKillsInACluster(t *testing.T) {
	const n, keys, single, all = 20_000, 100, 30, 5
	c := startNodes(t, 3)
	s := at(t, c.urls())
	x := start(s, c.urls())
	x.spec.Lease = 2 * time.Second
	x.start("a")
	x.start("b")
	l := s.Publish(n, keys, 500)
	for i := range single + all {
		l.Settled.Await(t.Context(), (i+1)*n/(single+all+2))
		if i < single {
			c.kill(s.Dice.IntN(3))
			c.ready()
			continue
		}
		c.kill(0, 1, 2)
		c.ready()
	}
	<-l.Done
	s.Progress(n)
	s.Drained()
	x.end()
	r := s.Check(ampytest.Rules{})
	s.AtLeast("applied", r.Applied, n)
	s.AtLeast("attempts uncertain", s.Unsure(), single)
	s.Figures(*page, "cluster of three", fmt.Sprintf("%d × SIGKILL of one node, %d × of all; %d attempts uncertain", single, all, s.Unsure()), r)
}
