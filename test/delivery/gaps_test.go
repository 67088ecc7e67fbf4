package delivery

import (
	"errors"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// TestEveryGapIsReportedWithItsExactRange: retention passes a group ten times
// while it is away. Where orders move, it halts; told to, it goes on.
func TestEveryGapIsReportedWithItsExactRange(t *testing.T) {
	on(t, chaos.OrdersTopic, gapsReported)
}

func gapsReported(w *world) {
	const rounds = 10
	per := scaled(100, 500)
	w.All(per, 10)
	m := w.join("begins", w.consumer(), w.Apply("begins"))
	w.Drained()
	m.mustLeave()
	next := w.first + uint64(per) // what the group has not finished
	halts := 0
	for i := range rounds {
		w.All(per, 10)
		below := next + uint64(1+w.Dice.IntN(per-1))
		w.broker.truncate(w.log, below)

		if i%2 == 0 { // the default where dead letters park
			halts++
			m := w.join("halts", w.consumer(), w.Apply("halts"))
			w.Until("it does not halt", m.hasEnded)
			var gap *ampybus.DataGapError
			if err := m.leave(); !errors.As(err, &gap) || gap.From != next || gap.To != below {
				w.t.Errorf("round %d: Consume ended with %v, want a gap from %d to %d", i, err, next, below)
			}
		}
		c := w.consumer()
		c.OnGap = ampybus.GapContinue
		m := w.join("goes on", c, w.Apply("goes on"))
		w.Drained()
		m.mustLeave()
		next += uint64(per)
	}
	w.sameGaps(rounds)
	r := w.Check(ampytest.Rules{})
	w.AtLeast("gaps", r.Gaps, rounds+halts)
}

// sameGaps checks that n different gaps were reported.
func (w *world) sameGaps(n int) {
	w.t.Helper()
	seen := make(map[[2]uint64]bool)
	for _, e := range w.History.Events() {
		if e.Op == ampytest.OpGap {
			seen[[2]uint64{e.Pos, e.To}] = true
		}
	}
	if len(seen) != n {
		w.t.Errorf("%d different gaps reported, want %d: %v", len(seen), n, seen)
	}
}
