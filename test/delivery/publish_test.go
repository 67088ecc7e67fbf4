package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// judgePublishing checks that each of n messages is stored once and in order,
// and that every caller was told the truth.
func (w *world) judgePublishing(n int) *ampytest.Report {
	w.t.Helper()
	m := w.join("last", w.consumer(), w.apply("last"))
	w.drained()
	m.mustLeave()
	r := w.check(ampytest.Rules{})
	if r.Published != n || r.Held != n {
		w.t.Errorf("%d published and %d held of %d", r.Published, r.Held, n)
	}
	return r
}

// unsure is the number of attempts whose outcome nobody knew.
func (w *world) unsure() int {
	return w.h.Count(func(e ampytest.Event) bool { return e.Op == ampytest.OpStore && e.Phase == ampytest.Info })
}

func TestPublishingStandsOutagesOfTheBroker(t *testing.T) {
	on(t, ordersTopic, func(w *world) {
		const n, outages = 5000, 20
		w.all(1, 1) // the log exists
		l := w.publish(n-1, 50, 100)
		for i := range outages {
			l.settled.Await(w.t.Context(), (i+1)*n/(outages+2))
			restore := w.broker.outage()
			w.wait(w.between(50*time.Millisecond, 300*time.Millisecond))
			restore()
		}
		<-l.done
		r := w.judgePublishing(n)
		w.atLeast("attempts repeated", r.Attempts-r.Published, 200)
	})
}

func TestPublishingTellsTheTruthThroughBrokenConnections(t *testing.T) {
	onNATS(t, ordersTopic, func(w *world) {
		n, slow := scaled(6000, 20_000), time.Duration(scaled(2, 60))*time.Second
		resets, cuts, holes := scaled(25, 50), scaled(12, 20), scaled(2, 10)
		p := w.main.(*natsClient).proxy
		var faults []func()
		for range resets {
			faults = append(faults, p.Reset)
		}
		for i := range cuts {
			way := chaos.Direction(i % 2)
			faults = append(faults, func() { p.Shape(way, chaos.Shape{CutAfter: 1 + w.dice.IntN(2000)}) })
		}
		for range holes {
			faults = append(faults, func() {
				heal := p.Blackhole()
				w.wait(2 * ackTimeout)
				heal()
			})
		}
		w.dice.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		l := w.publish(n, 100, 200)
		for i, inflict := range faults {
			l.settled.Await(w.t.Context(), (i+1)*n/(len(faults)+2))
			inflict()
		}
		p.Shape(chaos.Up, chaos.Shape{Delay: 25 * time.Millisecond, Jitter: 25 * time.Millisecond, Slice: 100})
		p.Shape(chaos.Down, chaos.Shape{Delay: 25 * time.Millisecond, Jitter: 25 * time.Millisecond})
		w.wait(slow)
		p.Heal()
		<-l.done
		w.judgePublishing(n)
		s := p.Stats()
		w.t.Logf("%+v, %d attempts uncertain", s, w.unsure())
		w.atLeast("resets", s.Resets, resets*4/5)
		w.atLeast("cuts in the middle of a frame", s.Cuts, cuts*4/5)
		w.atLeast("attempts uncertain", w.unsure(), 20)
	})
}

// TestWhatMayBeStoredIsNeverReportedAsFailed: the broker stores all, and its
// answers do not come for longer than a publish is retried.
func TestWhatMayBeStoredIsNeverReportedAsFailed(t *testing.T) {
	on(t, ordersTopic, func(w *world) {
		const n = 200
		c := w.broker.client()
		deaf := ampybus.New(w.h.Transport("deaf", c.transport()), ampybus.Options{PublishCeiling: 2 * ackTimeout})
		if err := w.h.Publish(w.t.Context(), deaf, w.message("k0", 0)); err != nil { // finds the log
			w.t.Fatal(err)
		}
		restore := c.deafen()
		var settled chaos.Counter
		for i := range n {
			e := w.message(fmt.Sprintf("k%d", i%50), 1+i/50)
			w.h.PublishAsync(deaf, e, func(error) { settled.Add(1) })
		}
		settled.Await(w.t.Context(), n)
		restore()
		if err := deaf.Close(); err != nil {
			w.t.Errorf("close: %v", err)
		}
		m := w.join("last", w.consumer(), w.apply("last"))
		w.drained()
		m.mustLeave()
		r := w.check(ampytest.Rules{})
		if told := r.Uncertain + r.Failed; told != n {
			w.t.Errorf("%d publishes ended uncertain and %d failed of %d", r.Uncertain, r.Failed, n)
		}
		w.atLeast("publishes uncertain and stored", r.Recovered, 50)
	})
}
