package keyed_test

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
)

var (
	t0   = time.Unix(1_000_000, 0).UTC()
	done = keyed.Verdict{Outcome: keyed.Done}
)

func core(t *testing.T, c keyed.Config) *keyed.Core[string] {
	t.Helper()
	k := keyed.New[string](c)
	k.Assign("a", 1, 1)
	return k
}

func add(t *testing.T, c *keyed.Core[string], pos uint64, key string) {
	t.Helper()
	if !c.Add(keyed.Item[string]{Lane: "a", Epoch: 1, Pos: pos, Key: key, Size: 10}) {
		t.Fatalf("position %d refused", pos)
	}
}

func next(t *testing.T, c *keyed.Core[string], at time.Time, pos uint64) keyed.Task[string] {
	t.Helper()
	task, ok := c.Next(at)
	if !ok || task.Pos != pos {
		t.Fatalf("next: got position %d (%v), want %d", task.Pos, ok, pos)
	}
	return task
}

func none(t *testing.T, c *keyed.Core[string], at time.Time) {
	t.Helper()
	if task, ok := c.Next(at); ok {
		t.Fatalf("position %d of key %q handed out, want none", task.Pos, task.Key)
	}
}

func low(t *testing.T, c *keyed.Core[string], want uint64) {
	t.Helper()
	if got, _, ok := c.Low("a"); !ok || got != want {
		t.Fatalf("low: got %d (%v), want %d", got, ok, want)
	}
}

func TestFailingKeyHoldsBackOnlyItself(t *testing.T) {
	c := core(t, keyed.Config{})
	add(t, c, 1, "bad")
	add(t, c, 2, "good")
	add(t, c, 3, "bad")
	first := next(t, c, t0, 1)
	second := next(t, c, t0, 2)
	none(t, c, t0)
	c.Finish(first, keyed.Verdict{After: time.Second}, t0)
	c.Finish(second, done, t0)
	low(t, c, 1)
	none(t, c, t0.Add(time.Second-1))
	if at, ok := c.Wake(); !ok || !at.Equal(t0.Add(time.Second)) {
		t.Fatalf("wake: got %v (%v)", at, ok)
	}
	again := next(t, c, t0.Add(time.Second), 1)
	if again.Attempt != 2 || !again.FirstTried.Equal(t0) {
		t.Fatalf("attempt %d first tried %v, want 2 and %v", again.Attempt, again.FirstTried, t0)
	}
	c.Finish(again, done, t0)
	low(t, c, 3)
	c.Finish(next(t, c, t0, 3), done, t0)
	low(t, c, 4)
}
