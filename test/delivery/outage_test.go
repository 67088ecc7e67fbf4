package delivery

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// TestADeadDependencyMakesNoDeadLetters: what the handler needs is away while
// messages keep coming, and one of them is bad besides.
func TestADeadDependencyMakesNoDeadLetters(t *testing.T) {
	on(t, chaos.NewsTopic, deadDependency)
}

func deadDependency(w *world) {
	const rate, keys = 1000, 200
	seconds := 60
	if w.main.transport().Name() != "memory" {
		seconds = scaled(5, 60)
	}
	n := rate * seconds
	x := &troubles{poison: map[string]bool{"k7-5": true}, passes: make(map[string]int)}
	var down atomic.Bool
	var attempts atomic.Int64
	down.Store(true)
	inner := x.before(w.Apply("a"))
	m := w.join("a", w.consumer(), func(ctx context.Context, msg *ampybus.Message) error {
		if down.Load() {
			attempts.Add(1)
			return errRefused
		}
		return inner(ctx, msg)
	})
	for second := range seconds {
		w.feed(x, second*rate, (second+1)*rate, keys, 0)
		w.Wait(time.Second)
	}
	w.Until("the consumer does not notice", func() bool { return w.seen.count(ampybus.NoticePaused) == 1 })
	if dead := w.buried(); dead != 0 {
		w.t.Errorf("%d dead letters in the outage", dead)
	}
	down.Store(false)
	w.Progress(n - 1)
	w.Drained()
	m.mustLeave()
	r := w.Check(ampytest.Rules{})
	if r.Dead != 1 {
		w.t.Errorf("%d dead letters, want the bad message alone", r.Dead)
	}
	w.t.Logf("%d attempts failed in %d s", attempts.Load(), seconds)
	w.AtLeast("failed attempts", int(attempts.Load()), 8)
	if n := int(attempts.Load()); n > 100*seconds {
		w.t.Errorf("%d attempts against a dead dependency: it is not probed but hammered", n)
	}
}
