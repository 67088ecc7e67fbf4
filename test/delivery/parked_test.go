package delivery

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// TestWhatPrecedesAPoisonMessageDoesNotDieWithIt: behind a crash a key is parked
// from the start, and messages from before its dead letter come again.
func TestWhatPrecedesAPoisonMessageDoesNotDieWithIt(t *testing.T) {
	on(t, chaos.OrdersTopic, beforePoison)
}

func beforePoison(w *world) {
	x := &troubles{poison: map[string]bool{"k0-2": true}, passes: make(map[string]int)}
	c := w.quickly()
	c.CommitEvery = time.Hour
	first := w.join("first", c, x.before(w.Apply("first")))
	w.feed(x, 0, 4, 1, 0)
	w.Until("no dead letters", func() bool { p, _ := w.lettersOf("k0"); return len(p) == 2 })
	first.crash()
	second := w.join("second", w.quickly(), x.before(w.Apply("second")))
	w.Drained()
	if payloads, _ := w.lettersOf("k0"); len(payloads) != 2 {
		w.t.Errorf("dead letters of %v, want k0-2 and k0-3", payloads)
	}
	x.mend()
	w.redriveAll()
	second.mustLeave()
	r := w.Check(ampytest.Rules{Parks: true, Redriven: true})
	w.AtLeast("redeliveries", r.Redelivered, 4)
}
