package delivery

import (
	"slices"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// stored is where a message lies, and since when.
type stored struct {
	pos uint64
	at  time.Time
}

// history lists all that the topic's log holds.
func (w *world) history() (all []stored) {
	w.t.Helper()
	for m, err := range w.Bus.Read(w.t.Context(), ampybus.Range{Pattern: w.Topic}) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, stored{m.Pos, m.StoredAt})
	}
	return all
}

// replay handles a window's messages and dies several times on the way: what it
// remembers is the position behind the last one that it handled.
func (w *world) replay(start, end time.Time, size, crashes int) (got []uint64) {
	w.t.Helper()
	r := ampybus.Range{Pattern: w.Topic, Start: start, End: end}
	for crash := range crashes + 1 {
		left := size // until it dies
		if crash < crashes {
			left = 1 + w.Dice.IntN(max(1, size/crashes))
		}
		for m, err := range w.Bus.Read(w.t.Context(), r) {
			if err != nil {
				w.t.Fatal(err)
			}
			w.Store.Apply("replay", m)
			got = append(got, m.Pos)
			r.From = map[string]uint64{m.Log: m.Pos + 1}
			if left--; left == 0 && crash < crashes {
				break
			}
		}
	}
	return got
}

// committed is the group's position.
func (w *world) committed() uint64 {
	w.t.Helper()
	lag, err := w.Bus.Lag(w.t.Context(), chaos.Group)
	if err != nil || len(lag.Lanes) != 1 {
		w.t.Fatalf("lag: %+v, %v", lag, err)
	}
	return lag.Lanes[0].Committed
}

func TestAReplayedWindowIsExactAndAddsNoEffect(t *testing.T) {
	on(t, chaos.NewsTopic, func(w *world) {
		n, crashes := scaled(4000, 100_000), 10
		m := w.join("live", w.consumer(), w.Apply("live"))
		const steps = 20
		for range steps { // in memory, time stands still between
			w.All(n/steps, 50)
			w.Wait(time.Millisecond)
		}
		w.Drained()
		m.mustLeave()
		before, applied := w.committed(), w.Store.Count(chaos.Applied)
		all := w.history()
		start, end := all[n/4].at, all[3*n/4].at
		for name, c := range map[string]struct{ start, end time.Time }{
			"as asked":            {start, end},
			"ends a moment later": {start, end.Add(1)},
			"ends a moment early": {start, end.Add(-1)},
			"begins behind":       {start.Add(1), end},
		} {
			var want []uint64
			for _, x := range all {
				if !x.at.Before(c.start) && x.at.Before(c.end) {
					want = append(want, x.pos)
				}
			}
			for range 3 {
				if got := w.replay(c.start, c.end, len(want), crashes); !slices.Equal(got, want) {
					w.t.Errorf("%s: replayed %d messages, want the %d of the window, each once and in order", name, len(got), len(want))
				}
			}
			w.AtLeast("messages in the window that "+name, len(want), n/4)
		}
		if now := w.Store.Count(chaos.Applied); now != applied {
			w.t.Errorf("%d effects of replays", now-applied)
		}
		if now := w.committed(); now != before {
			w.t.Errorf("the group was at %d, and is at %d behind the replays", before, now)
		}
		r := w.Check(ampytest.Rules{})
		w.AtLeast("messages replayed", w.Store.Count(chaos.Repeat), 3*n)
		if r.Applied != n {
			w.t.Errorf("%d of %d applied", r.Applied, n)
		}
	})
}
