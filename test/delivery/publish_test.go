package delivery

import (
	"fmt"
	"sync/atomic"
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
	m := w.join("last", w.consumer(), w.Apply("last"))
	w.Drained()
	m.mustLeave()
	r := w.Check(ampytest.Rules{})
	if r.Published != n || r.Held != n {
		w.t.Errorf("%d published and %d held of %d", r.Published, r.Held, n)
	}
	return r
}

func TestPublishingStandsOutagesOfTheBroker(t *testing.T) {
	on(t, chaos.OrdersTopic, brokerOutages)
}

func brokerOutages(w *world) {
	const n = 5000
	outages := 20
	if w.slow {
		outages = 2
	}
	w.All(1, 1) // the log exists
	l := w.Publish(n-1, 50, 100)
	for i := range outages {
		l.Settled.Await(w.t.Context(), (i+1)*n/(outages+2))
		restore := w.broker.outage()
		w.Wait(w.Between(50*time.Millisecond, 300*time.Millisecond))
		restore()
	}
	<-l.Done
	r := w.judgePublishing(n)
	if c, ok := w.main.(*proxied); ok && w.onKafka() { // its client repeats by itself
		w.AtLeast("connections made again", c.proxy.Stats().Links-1, outages)
		return
	}
	w.AtLeast("attempts repeated", r.Attempts-r.Published, 10*outages)
}

func TestPublishingTellsTheTruthThroughBrokenConnections(t *testing.T) {
	t.Run("nats", func(t *testing.T) { onNATS(t, chaos.OrdersTopic, brokenConnections) })
	t.Run("kafka", func(t *testing.T) { onKafka(t, chaos.OrdersTopic, brokenConnections) })
}

func brokenConnections(w *world) {
	n, slow := scaled(6000, 20_000), time.Duration(scaled(2, 60))*time.Second
	resets, cuts, holes := scaled(25, 50), scaled(12, 20), scaled(2, 10)
	p := w.main.(*proxied).proxy
	var faults []func()
	for range resets {
		faults = append(faults, func() {
			before := p.Stats().Resets
			w.Until("there is no connection to reset", func() bool { p.Reset(); return p.Stats().Resets > before })
		})
	}
	for i := range cuts {
		way := chaos.Direction(i % 2)
		faults = append(faults, func() {
			before := p.Stats().Cuts
			p.Shape(way, chaos.Shape{CutAfter: 1 + w.Dice.IntN(2000)})
			w.Until("no frame is cut", func() bool { return p.Stats().Cuts > before })
		})
	}
	for range holes {
		faults = append(faults, func() {
			heal := p.Blackhole()
			w.Wait(2 * chaos.AckTimeout)
			heal()
		})
	}
	w.Dice.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	var over atomic.Bool // with nothing left to publish no fault would happen
	l := w.PublishWhile(func(i int) bool { return i < n || !over.Load() }, 100, 200)
	for i, inflict := range faults {
		l.Settled.Await(w.t.Context(), (i+1)*n/(len(faults)+2))
		inflict()
	}
	over.Store(true)
	p.Shape(chaos.Up, chaos.Shape{Delay: 25 * time.Millisecond, Jitter: 25 * time.Millisecond, Slice: 100})
	p.Shape(chaos.Down, chaos.Shape{Delay: 25 * time.Millisecond, Jitter: 25 * time.Millisecond})
	w.Wait(slow)
	p.Heal()
	<-l.Done
	w.judgePublishing(l.Settled.Value())
	s := p.Stats()
	w.t.Logf("%+v, %d attempts uncertain", s, w.Unsure())
	w.AtLeast("resets", s.Resets, resets)
	w.AtLeast("cuts in the middle of a frame", s.Cuts, cuts)
	w.AtLeast("attempts uncertain", w.Unsure(), 20)
}

// TestWhatMayBeStoredIsNeverReportedAsFailed: the broker stores all, and its
// answers do not come for longer than a publish is retried.
func TestWhatMayBeStoredIsNeverReportedAsFailed(t *testing.T) {
	on(t, chaos.OrdersTopic, deafPublisher)
}

func deafPublisher(w *world) {
	const n = 200
	c := w.broker.client()
	deaf := ampybus.New(w.History.Transport("deaf", c.transport()), ampybus.Options{PublishCeiling: 2 * chaos.AckTimeout})
	if err := w.History.Publish(w.t.Context(), deaf, w.Message("k0", 0)); err != nil { // finds the log
		w.t.Fatal(err)
	}
	restore := c.deafen()
	var settled chaos.Counter
	for i := range n {
		e := w.Message(fmt.Sprintf("k%d", i%50), 1+i/50)
		w.History.PublishAsync(deaf, e, func(error) { settled.Add(1) })
	}
	settled.Await(w.t.Context(), n)
	restore()
	if err := deaf.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
	m := w.join("last", w.consumer(), w.Apply("last"))
	w.Drained()
	m.mustLeave()
	r := w.Check(ampytest.Rules{})
	if told := r.Uncertain + r.Failed; told != n {
		w.t.Errorf("%d publishes ended uncertain and %d failed of %d", r.Uncertain, r.Failed, n)
	}
	stored := 50
	if w.onKafka() { // few requests are under way at a time
		stored = 10
	}
	w.AtLeast("publishes uncertain and stored", r.Recovered, stored)
}
