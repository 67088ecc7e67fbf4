package delivery

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// buried counts dead letters that the broker has acknowledged.
func (w *world) buried() int {
	return w.History.Count(func(e ampytest.Event) bool { return e.Op == ampytest.OpDead && e.Phase == ampytest.OK })
}

// TestNothingIsLostWhileDeadLettersCannotBeStored: that nothing is committed
// before its dead letter is stored is what every history is checked for.
func TestNothingIsLostWhileDeadLettersCannotBeStored(t *testing.T) {
	on(t, chaos.NewsTopic, dlqClosed)
}

func dlqClosed(w *world) {
	const n, keys, dead = 2000, 50, 20
	w.ceiling = time.Second // of each attempt to store a dead letter
	x := w.mix(n, keys, 10, dead, 0)
	x.poison["k0-0"] = true // its dead letter makes the log
	poison := len(x.poison)
	m := w.join("a", w.quickly(), x.before(w.Apply("a")))
	w.feed(x, 0, 1, keys, 0)
	w.Until("no first dead letter", func() bool { return w.buried() == 1 })
	next := 1
	for _, s := range []struct {
		full bool
		long time.Duration
	}{
		{false, time.Duration(scaled(2, 10)) * time.Second},
		{true, time.Duration(scaled(1, 5)) * time.Second},
	} {
		before, alarms := w.buried(), w.seen.count(ampybus.NoticeDLQBlocked)
		open := w.broker.closeDLQ(s.full)
		w.feed(x, next, next+n/2-1, keys, 0)
		next += n/2 - 1
		w.Until("no alarm", func() bool { return w.seen.count(ampybus.NoticeDLQBlocked) > alarms })
		w.Wait(s.long)
		if n := w.buried(); n != before {
			w.t.Errorf("%d dead letters were stored in a log that takes none", n-before)
		}
		open()
		// All of them, so that none is on its way when the log is closed again.
		died := x.deadOf(next, keys)
		w.Until("no dead letters when the log is back", func() bool { return w.buried() == died })
	}
	w.feed(x, next, n, keys, 0)
	w.Progress(n - poison)
	w.Drained()
	m.mustLeave()
	r := w.Check(ampytest.Rules{})
	if r.Dead != poison {
		w.t.Errorf("%d dead letters, want %d", r.Dead, poison)
	}
	w.AtLeast("alarms", w.seen.count(ampybus.NoticeDLQBlocked), 2)
}
