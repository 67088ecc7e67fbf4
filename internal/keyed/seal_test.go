package keyed_test

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
)

func TestASealedLaneHandsOutOnlyWhatLiesBelowWhatWasHandedOut(t *testing.T) {
	now := time.Unix(0, 0)
	c := keyed.New[string](keyed.Config{})
	c.Assign("lane", 1, 1)
	for i, key := range []string{"a", "a", "b", "a", "c"} { // positions 1 to 5
		c.Add(keyed.Item[string]{Lane: "lane", Epoch: 1, Pos: uint64(i + 1), Key: key})
	}
	first, _ := c.Next(now)  // a at 1
	second, _ := c.Next(now) // b at 3
	c.Seal("lane")
	if c.Ready("lane") != 0 {
		t.Fatalf("%d keys are ready: c at 5 lies behind", c.Ready("lane"))
	}
	c.Finish(second, keyed.Verdict{Outcome: keyed.Done}, now)
	c.Finish(first, keyed.Verdict{Outcome: keyed.Done}, now)
	below, ok := c.Next(now)
	if !ok || below.Pos != 2 {
		t.Fatalf("handed out %d, %v; want the hole at 2", below.Pos, ok)
	}
	c.Finish(below, keyed.Verdict{Outcome: keyed.Done}, now)
	if next, ok := c.Next(now); ok {
		t.Errorf("handed out %d, behind the seal", next.Pos)
	}
	if low, _, _ := c.Low("lane"); low != 4 {
		t.Errorf("low is %d, want 4", low)
	}
	c.Assign("lane", 2, 4)
	c.Add(keyed.Item[string]{Lane: "lane", Epoch: 2, Pos: 4, Key: "a"})
	if next, ok := c.Next(now); !ok || next.Pos != 4 {
		t.Errorf("a new epoch is sealed still")
	}
}
