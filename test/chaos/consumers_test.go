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
	srv := brokertest.StartProcess(t, false)
	killConsumers(start(at(t, srv.URL()), srv.URL()), "three consumers, killed")
}

// The same on Apache Kafka, where they have partitions.
func TestAHundredKillsOfConsumersOnRealKafka(t *testing.T) {
	s, url := atOneKafka(t)
	killConsumers(start(s, url), "three consumers of Kafka, killed")
}

func killConsumers(x *services, scenario string) {
	const keys = 200
	kills := full(100, 10)
	n := 500 * kills
	s, names := x.s, []string{"a", "b", "c"}
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
	s.AtLeast("redeliveries", s.Store.Count(chaos.Repeat)+s.Store.Count(chaos.Fenced), 10*kills)
	s.Figures(*page, scenario, fmt.Sprintf("%d × SIGKILL", kills), r)
}

// TestAFrozenOwnerHasNoEffect stops the owner for twice its lease; when it goes
// on it believes that it still owns the lane.
func TestAFrozenOwnerHasNoEffect(t *testing.T) {
	srv := brokertest.StartProcess(t, false)
	freezeOwner(start(at(t, srv.URL()), srv.URL()), "owner stopped for two leases")
}

// The same on Apache Kafka.
func TestAFrozenOwnerHasNoEffectOnRealKafka(t *testing.T) {
	s, url := atOneKafka(t)
	freezeOwner(start(s, url), "owner on Kafka stopped for two leases")
}

func freezeOwner(x *services, scenario string) {
	const per, keys = 1000, 100
	stops := full(20, 3)
	s := x.s
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
	s.AtLeast("applied", r.Applied, per*stops)
	s.AtLeast("effects fenced", s.Store.Count(chaos.Fenced), stops/2)
	s.Figures(*page, scenario, fmt.Sprintf("%d × SIGSTOP; %d effects fenced", stops, s.Store.Count(chaos.Fenced)), r)
}
