//go:build chaos

package chaos

import (
	"fmt"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// TestAHundredKillsOfConsumers kills the processes of a group, which have a
// share of the log each, a hundred times while they work.
func TestAHundredKillsOfConsumers(t *testing.T) {
	const n, keys, kills = 50_000, 200, 100
	srv := brokertest.StartProcess(t, false)
	s := at(t, srv.URL())
	names := []string{"a", "b", "c"}
	x := start(s, srv.URL())
	x.spec.Shares = len(names)
	for _, name := range names {
		x.start(name)
	}
	l := s.Publish(n, keys, 2000)
	for i := range kills {
		s.Progress((i + 1) * n / (kills + 2))
		x.kill(names[s.Dice.IntN(len(names))])
	}
	<-l.Done
	s.Progress(n)
	s.Drained()
	x.end()
	r := s.Check(ampytest.Rules{})
	s.AtLeast("applied", r.Applied, n)
	s.AtLeast("redeliveries", s.Store.Count(chaos.Repeat)+s.Store.Count(chaos.Fenced), 1000)
	s.Figures(*page, "three consumers, killed", fmt.Sprintf("%d × SIGKILL", kills), r)
}

// TestAFrozenOwnerHasNoEffect stops the owner for twice its lease; when it goes
// on it believes that it still owns the lane.
func TestAFrozenOwnerHasNoEffect(t *testing.T) {
	const per, keys, stops = 1000, 100, 20
	const n = per * stops
	srv := brokertest.StartProcess(t, false)
	s := at(t, srv.URL())
	x := start(s, srv.URL())
	x.spec.Takes *= 5 // work is under way whenever it is stopped
	x.start("a")
	x.start("b")
	for i := range stops {
		l := s.Publish(per, keys, per)
		s.Progress(i*per + per/5)
		owner := s.Store.Last()
		x.procs[owner].Stop()
		s.Wait(2 * lease)
		s.Until("nobody takes over", func() bool { return s.Store.Last() != owner })
		x.procs[owner].Continue()
		<-l.Done
		s.Progress((i + 1) * per)
	}
	s.Drained()
	x.end()
	r := s.Check(ampytest.Rules{})
	s.AtLeast("applied", r.Applied, n)
	s.AtLeast("effects fenced", s.Store.Count(chaos.Fenced), 10)
	s.Figures(*page, "owner stopped for two leases", fmt.Sprintf("%d × SIGSTOP; %d effects fenced", stops, s.Store.Count(chaos.Fenced)), r)
}
