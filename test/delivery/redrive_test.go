package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// step is a moment of a redrive at which its process dies.
type step int

const (
	whileReading     step = iota // some dead letters are read
	beforeCopy                   // the copy is not sent
	behindCopy                   // the copy is stored, its acknowledgement lost
	beforeSettlement             // the copy is acknowledged, the settlement not sent
	behindSettlement             // the settlement is stored, its acknowledgement lost
	afterwards                   // all is acknowledged
	steps
)

// mortal is a transport that dies at a step of the redrive of letter number at.
type mortal struct {
	driver.Transport
	step step
	at   int

	mu     sync.Mutex
	copies int
	dead   bool
}

var errDied = fmt.Errorf("the process died: %w", driver.ErrClosed)

func (m *mortal) isDead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

func (m *mortal) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
}

// due tells how the publish of recs ends.
func (m *mortal) due(recs []driver.Record) (before, behind, after bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	settlement := strings.Contains(recs[0].Topic, ".control.")
	if !settlement {
		m.copies++
	}
	if m.copies != m.at {
		return false, false, false
	}
	if settlement {
		return m.step == beforeSettlement, m.step == behindSettlement, m.step == afterwards
	}
	return m.step == beforeCopy, m.step == behindCopy, false
}

func (m *mortal) Publish(recs []driver.Record, settle func(int, driver.Outcome)) {
	before, behind, after := m.due(recs)
	if before {
		m.die()
	}
	if m.isDead() {
		for i := range recs {
			settle(i, driver.Outcome{Err: errDied})
		}
		return
	}
	m.Transport.Publish(recs, func(i int, o driver.Outcome) {
		if behind {
			m.die()
			o = driver.Outcome{Err: driver.ErrUncertain}
		}
		settle(i, o)
		if after {
			m.die()
		}
	})
}

func (m *mortal) Read(ctx context.Context, c driver.ReadConfig) (driver.Reader, error) {
	if m.isDead() {
		return nil, errDied
	}
	r, err := m.Transport.Read(ctx, c)
	if m.step == whileReading && strings.Contains(c.Pattern, ".dlq.") && err == nil {
		return &mortalReader{r, m}, nil
	}
	return r, err
}

// Close leaves the connection to others.
func (m *mortal) Close(context.Context) error { return nil }

// mortalReader dies behind the first records.
type mortalReader struct {
	driver.Reader
	m *mortal
}

func (r *mortalReader) Next(ctx context.Context) ([]driver.Delivery, error) {
	if r.m.isDead() {
		return nil, errDied
	}
	ds, err := r.Reader.Next(ctx)
	if !errors.Is(err, io.EOF) {
		r.m.die()
	}
	return ds[:min(len(ds), 1)], err
}

// redriveAndDie is one process that sends dead letters back until it dies, and
// reports whether none was left.
func (w *world) redriveAndDie(s step, at int) (done bool) {
	m := &mortal{Transport: w.History.Transport("redriver", w.main.transport()), step: s, at: at}
	bus := ampybus.New(m, ampybus.Options{})
	defer func() { _ = bus.Close() }()
	for d, err := range bus.DeadLetters(w.t.Context(), ampybus.Range{Pattern: dlqPattern}) {
		if err != nil {
			if !m.isDead() {
				w.t.Errorf("read dead letters: %v", err)
			}
			return false
		}
		_, err := bus.Redrive(w.t.Context(), d, ampybus.RedriveOptions{Reason: "mended", Requester: "delivery@1"})
		if err != nil && !m.isDead() {
			w.t.Errorf("redrive: %v", err)
		}
		if m.isDead() {
			return false
		}
	}
	return true
}

// tooEarly sends n dead letters back before their cause is mended, and returns
// how many died again.
func (w *world) tooEarly(n int) int {
	w.t.Helper()
	before := w.buried()
	sent := 0
	for d, err := range w.Bus.DeadLetters(w.t.Context(), ampybus.Range{Pattern: dlqPattern, Limit: n}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.Bus.Redrive(w.t.Context(), d, ampybus.RedriveOptions{Reason: "hope", Requester: "delivery@1"}); err != nil {
			w.t.Fatal(err)
		}
		sent++
	}
	w.Until("they do not die again", func() bool { return w.buried() == before+sent })
	w.Drained()
	return w.buried() - before
}

func TestARedriveThatCrashesAnywhereRepeatsNothing(t *testing.T) {
	for name, topic := range map[string]string{"skip": chaos.NewsTopic, "park": chaos.OrdersTopic} {
		t.Run(name, func(t *testing.T) {
			on(t, topic, redriveCrashes)
		})
	}
}

func redriveCrashes(w *world) {
	letters, each := scaled(180, 500), scaled(6, 20)
	x := &troubles{poison: make(map[string]bool), passes: make(map[string]int)}
	for i := range letters {
		x.poison[fmt.Sprintf("k%d-%d", i%50, i/50)] = true
	}
	m := w.join("a", w.quickly(), x.before(w.Apply("a")))
	w.feed(x, 0, letters, 50, 0)
	w.Until("no dead letters", func() bool { return w.buried() == letters })
	w.Drained()
	again := w.tooEarly(10)
	x.mend()
	crashes := make(map[step]int)
	for range each {
		for s := range steps {
			if w.redriveAndDie(s, 1+w.Dice.IntN(4)) {
				continue // nothing is left
			}
			crashes[s]++
		}
	}
	w.Drained()
	w.redriveAll()
	m.mustLeave()
	w.t.Logf("crashes by step: %v", crashes)
	for s := range steps {
		w.AtLeast(fmt.Sprintf("crashes at step %d", s), crashes[s], each)
	}
	w.AtLeast("letters that died again", again, 10)
	r := w.Check(ampytest.Rules{Redriven: true, Parks: w.Topic == chaos.OrdersTopic})
	if r.Applied != letters {
		w.t.Errorf("%d of %d applied", r.Applied, letters)
	}
}

func TestAForgedTargetIsNeverSentTo(t *testing.T) {
	on(t, chaos.NewsTopic, forgedTarget)
}

func forgedTarget(w *world) {
	x := &troubles{poison: map[string]bool{"k0-0": true}, passes: make(map[string]int)}
	m := w.join("a", w.quickly(), x.before(w.Apply("a")))
	w.feed(x, 0, 1, 1, 0)
	w.Until("no dead letter", func() bool { return w.buried() == 1 })
	w.Drained()
	m.mustLeave()
	refused := 0
	for d, err := range w.Bus.DeadLetters(w.t.Context(), ampybus.Range{Pattern: dlqPattern}) {
		if err != nil {
			w.t.Fatal(err)
		}
		for _, target := range []string{"ampy.prod.news.v1.raw", chaos.OrdersTopic, "ampy.dev.dlq.v1.news", "ampy.dev.control.v1.replay_requests"} {
			d.Target = target
			_, err := w.Bus.Redrive(w.t.Context(), d, ampybus.RedriveOptions{Force: true})
			if !errors.Is(err, ampybus.ErrRedriveRefused) {
				w.t.Errorf("to %s: %v, want refused", target, err)
			}
			refused++
		}
	}
	w.AtLeast("forged targets", refused, 4)
}
