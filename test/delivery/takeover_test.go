package delivery

import (
	"context"
	"fmt"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// narrow bounds what a member has under way, so that faults hit all along.
func (w *world) narrow() ampybus.Consumer {
	c := w.consumer()
	c.MaxSpan = 300
	return c
}

// slowly makes h take a moment, so that faults hit work under way.
func (w *world) slowly(h ampybus.Handler) ampybus.Handler {
	return func(ctx context.Context, m *ampybus.Message) error {
		w.Wait(w.pace)
		return h(ctx, m)
	}
}

func TestTakeoversKeepTheOrderOfKeys(t *testing.T) {
	on(t, chaos.OrdersTopic, takeovers)
}

func takeovers(w *world) {
	w.short()
	n, takeovers := scaled(8000, 20_000), 30
	if w.slow {
		takeovers = 10
	}
	l := w.Publish(n, 50, 1000)
	members := make(map[string]*member)
	for i := range takeovers + 1 { // there always is one that waits
		name := fmt.Sprintf("m%d", i)
		members[name] = w.join(name, w.narrow(), w.slowly(w.Apply(name)))
		if i == 0 {
			continue
		}
		w.Progress(i * n / (takeovers + 2))
		name = w.owner(func(name string) bool { return members[name] != nil })
		members[name].crash()
		delete(members, name)
	}
	<-l.Done
	w.Progress(n)
	w.Drained()
	r := w.Check(ampytest.Rules{})
	w.AtLeast("takeovers", r.Takeovers, takeovers)
	w.AtLeast("redeliveries", r.Redelivered, 300)
}

func TestLostAcknowledgementsRepeatNoEffect(t *testing.T) {
	on(t, chaos.OrdersTopic, lostAcks)
}

func lostAcks(w *world) {
	w.short()
	n, holes := scaled(3000, 5000), scaled(8, 20)
	l := w.Publish(n, 50, 1000)
	members := make(map[string]*member)
	for _, name := range []string{"a", "b"} {
		members[name] = w.join(name, w.narrow(), w.slowly(w.Apply(name)))
	}
	for i := range holes {
		w.Progress((i+1)*n/(holes+2) + w.Dice.IntN(200))
		muted := w.owner(func(string) bool { return true })
		heal := members[muted].client.mute()
		w.owner(func(name string) bool { return name != muted })
		heal()
	}
	<-l.Done
	w.Progress(n)
	w.Drained()
	r := w.Check(ampytest.Rules{})
	w.AtLeast("redeliveries", r.Redelivered, 200)
	w.AtLeast("takeovers", r.Takeovers, holes)
}

// TestSharesKeepTheOrderOfKeysWhileMembersComeAndGo: several members work at
// once, and shares of the log move between them all the time.
func TestSharesKeepTheOrderOfKeysWhileMembersComeAndGo(t *testing.T) {
	on(t, chaos.OrdersTopic, shares)
}

func shares(w *world) {
	w.short()
	n, changes := scaled(6000, 20_000), scaled(12, 40)
	c := w.narrow()
	c.Shares = 4
	w.pace *= 4      // who joins shall work too, and each kill waits for commits
	if w.onKafka() { // where a rebalance takes a while
		w.pace *= 2
	}
	if w.slow {
		w.pace *= 4
	}
	w.broker.divide(c.Shares)
	l := w.Publish(n, 50, 1000)
	var members []*member
	enter := func() {
		name := fmt.Sprintf("m%d", len(members)+1000*w.seen.count(ampybus.NoticeAssigned))
		members = append(members, w.join(name, c, w.slowly(w.Apply(name))))
	}
	enter()
	enter()
	kills, leaves := 0, 0
	committed := make(map[string]uint64)
	for i := range changes {
		w.Progress((i + 1) * n / (changes + 2))
		enter()
		gone := w.Dice.IntN(2)
		if i%2 == 0 {
			w.moved(committed)
			members[gone].crash()
			kills++
		} else {
			members[gone].mustLeave()
			leaves++
		}
		members = append(members[:gone], members[gone+1:]...)
	}
	<-l.Done
	w.Progress(n)
	w.Drained()
	r := w.Check(ampytest.Rules{})
	w.AtLeast("kills", kills, changes/2)
	w.AtLeast("orderly ends", leaves, changes/2)
	w.AtLeast("takeovers of shares", r.Takeovers, changes)
	w.AtLeast("redeliveries", r.Redelivered, 100)
	w.AtLeast("members at work", w.procs(), changes/2)
}

// moved waits until each share has been committed further than the last time:
// three owners in a row that are killed before would look like a message that
// kills them.
func (w *world) moved(committed map[string]uint64) {
	w.t.Helper()
	w.Until("a share is not committed any further", func() bool {
		lag, err := w.Bus.Lag(w.t.Context(), chaos.Group)
		if err != nil {
			return false
		}
		for _, l := range lag.Lanes {
			if l.Pending > 0 && l.Committed <= committed[l.Lane] {
				return false
			}
		}
		for _, l := range lag.Lanes {
			committed[l.Lane] = l.Committed
		}
		return true
	})
}

// procs is how many processes had an effect.
func (w *world) procs() int {
	procs := make(map[string]bool)
	for _, e := range w.History.Events() {
		if e.Op == ampytest.OpEffect {
			procs[e.Proc] = true
		}
	}
	return len(procs)
}
