package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Topics of scenes.
const (
	OrdersTopic = "ampy.dev.orders.v1.requests" // parks keys behind dead letters
	NewsTopic   = "ampy.dev.news.v1.raw"        // skips dead letters
)

// Group is the group of every scene.
const Group = "oms"

// patience bounds waits for what must happen; it only tells slow from never.
const patience = time.Minute

// Scene is what scenarios have in common: messages of one topic, the group that
// applies them to a store, and the history of both.
type Scene struct {
	TB      testing.TB
	Topic   string
	History *ampytest.History
	Store   *Store
	Dice    *rand.Rand
	// Bus publishes, and looks at the broker.
	Bus *ampybus.Bus
	// Explain logs what is known, before a wait fails the test. Nil: nothing.
	Explain func()
}

// NewScene returns a scene without a bus.
func NewScene(tb testing.TB, topic string) *Scene {
	tb.Helper()
	h, err := ampytest.NewHistory(topic, Group)
	if err != nil {
		tb.Fatal(err)
	}
	return &Scene{TB: tb, Topic: topic, History: h, Store: NewStore(h), Dice: Dice(tb)}
}

// Connect makes the scene's bus over t.
func (s *Scene) Connect(t driver.Transport, o ampybus.Options) {
	s.Bus = ampybus.New(s.History.Transport("main", t), o)
}

// Message is message n of a key.
func (s *Scene) Message(key string, n int) ampybus.Envelope {
	tp, _ := ampybus.ParseTopic(s.Topic)
	p, _ := ampybus.PolicyFor(tp.Domain)
	h := ampybus.NewHeaders(p.SchemaFor(tp.Subtopic), "chaos@1", "chaos", key)
	h.RunID = "chaos"
	return ampybus.Envelope{Topic: s.Topic, Headers: h, Payload: fmt.Appendf(nil, "%s-%d", key, n)}
}

// Load is messages on their way to the broker.
type Load struct {
	Settled Counter
	Done    chan struct{} // closed when all are settled
}

// Publish hands n messages over keys to the bus, at most window of them
// unsettled at a time.
func (s *Scene) Publish(n, keys, window int) *Load {
	return s.PublishWhile(func(i int) bool { return i < n }, keys, window)
}

// PublishWhile is Publish for as long as more says so of the next message.
func (s *Scene) PublishWhile(more func(i int) bool, keys, window int) *Load {
	l := &Load{Done: make(chan struct{})}
	go func() {
		defer close(l.Done)
		i := 0
		for ; more(i); i++ {
			if !l.Settled.Await(s.TB.Context(), i-window+1) {
				return
			}
			e := s.Message(fmt.Sprintf("k%d", i%keys), i/keys)
			s.History.PublishAsync(s.Bus, e, func(error) { l.Settled.Add(1) })
		}
		l.Settled.Await(s.TB.Context(), i)
	}()
	return l
}

// All publishes n messages over keys and waits for their outcomes.
func (s *Scene) All(n, keys int) {
	s.TB.Helper()
	<-s.Publish(n, keys, 1000).Done
}

// Apply is a handler that writes to the store, for process proc.
func (s *Scene) Apply(proc string) ampybus.Handler {
	return func(_ context.Context, m *ampybus.Message) error {
		if s.Store.Apply(proc, m) == Fenced {
			return ampybus.ErrFenced
		}
		return nil
	}
}

// Within bounds a wait for what must happen.
func (s *Scene) Within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.TB.Context(), patience)
}

// Fail explains, and fails the test.
func (s *Scene) Fail(format string, args ...any) {
	s.TB.Helper()
	if s.Explain != nil {
		s.Explain()
	}
	s.TB.Fatalf(format+" (after %v)", append(args, patience)...)
}

// Progress waits until the store holds n effects.
func (s *Scene) Progress(n int) {
	s.TB.Helper()
	ctx, cancel := s.Within()
	defer cancel()
	if !s.Store.Progress.Await(ctx, n) {
		s.Fail("%d of %d effects", s.Store.Progress.Value(), n)
	}
}

// Drained waits until the group has finished all that is stored.
func (s *Scene) Drained() {
	s.TB.Helper()
	s.Until("the group does not finish", func() bool {
		lag, err := s.Bus.Lag(s.TB.Context(), Group)
		return err == nil && len(lag.Lanes) > 0 && lag.Pending == 0
	})
}

// pollEvery paces questions to a broker that cannot tell by itself.
const pollEvery = 5 * time.Millisecond

// Until asks again and again until ok; else it fails the test with what.
func (s *Scene) Until(what string, ok func() bool) {
	s.TB.Helper()
	ctx, cancel := s.Within()
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.Fail("%s", what)
		}
	}
}

// Wait lets d pass, where the passing of time is the fault itself.
func (s *Scene) Wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.TB.Context().Done():
	}
}

// Between is a random duration in [a, b).
func (s *Scene) Between(a, b time.Duration) time.Duration {
	return a + time.Duration(s.Dice.Int64N(int64(b-a)))
}

// Unsure is the number of attempts to store whose outcome nobody knew.
func (s *Scene) Unsure() int {
	return s.History.Count(func(e ampytest.Event) bool { return e.Op == ampytest.OpStore && e.Phase == ampytest.Info })
}

// Check collects what the broker holds, and fails the test for what is wrong.
func (s *Scene) Check(r ampytest.Rules) *ampytest.Report {
	s.TB.Helper()
	if err := s.History.Collect(s.TB.Context(), s.Bus); err != nil {
		s.TB.Fatal(err)
	}
	report := s.History.Check(r)
	if err := report.Err(); err != nil {
		s.TB.Error(err)
	}
	s.logRefusals()
	figures := *report
	figures.Findings = nil
	s.TB.Logf("%+v", figures)
	if s.TB.Failed() {
		s.keep()
	}
	return report
}

// keep writes the history where -artifacts says.
func (s *Scene) keep() {
	f, err := os.Create(filepath.Join(s.TB.ArtifactDir(), "history.jsonl"))
	if err == nil {
		err = errors.Join(s.History.WriteJSON(f), f.Close())
	}
	if err != nil {
		s.TB.Log(err)
	}
}

// maxRefusals keeps a long outage from filling the log.
const maxRefusals = 5

// logRefusals logs what the first publishes that did not succeed ended with.
func (s *Scene) logRefusals() {
	n := 0
	for _, e := range s.History.Events() {
		if e.Op == ampytest.OpPublish && (e.Phase == ampytest.Fail || e.Phase == ampytest.Info) && n < maxRefusals {
			s.TB.Logf("%s %s: %s", e.Op, e.Phase, e.Text)
			n++
		}
	}
}

// AtLeast fails a test whose faults did not happen.
func (s *Scene) AtLeast(what string, got, want int) {
	s.TB.Helper()
	if got < want {
		s.TB.Errorf("vacuous: %d %s, want at least %d", got, what, want)
	}
}
