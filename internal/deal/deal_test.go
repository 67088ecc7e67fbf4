package deal_test

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/internal/deal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func lanesOf(logs, shares int) []string {
	var lanes []string
	for l := range logs {
		for k := range shares {
			lanes = append(lanes, driver.LaneOf(fmt.Sprintf("LOG%02d", l), k, shares))
		}
	}
	return lanes
}

// counts is how many lanes each member has, over all ("") and of each log.
func counts(members []string, plan deal.Plan) map[string]map[string]int {
	of := map[string]map[string]int{"": {}}
	for lane := range plan {
		log, _, _ := driver.CutLane(lane)
		of[log] = map[string]int{}
	}
	for _, n := range of {
		for _, m := range members {
			n[m] = 0
		}
	}
	for lane, m := range plan {
		log, _, _ := driver.CutLane(lane)
		of[log][m]++
		of[""][m]++
	}
	return of
}

func TestEveryLaneIsDealtEvenlyToAMember(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var plan deal.Plan
		for range rapid.IntRange(1, 5).Draw(t, "changes") {
			members := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 1, 5, rapid.ID).Draw(t, "members")
			lanes := lanesOf(rapid.IntRange(1, 6).Draw(t, "logs"), rapid.IntRange(1, 8).Draw(t, "shares"))
			plan = deal.Lanes(members, lanes, plan)
			if len(plan) != len(lanes) {
				t.Fatalf("%d lanes dealt of %d", len(plan), len(lanes))
			}
			for log, n := range counts(members, plan) {
				least, most := len(lanes), 0
				for _, c := range n {
					least, most = min(least, c), max(most, c)
				}
				if len(n) != len(members) || most-least > 1 {
					t.Fatalf("log %q is dealt %v to %v", log, n, members)
				}
			}
			if again := deal.Lanes(members, lanes, plan); !maps.Equal(again, plan) {
				t.Fatalf("dealt again with nothing changed: %v, then %v", plan, again)
			}
		}
	})
}

// moved counts the lanes that changed hands.
func moved(before, after deal.Plan) int {
	n := 0
	for lane, m := range after {
		if before[lane] != m {
			n++
		}
	}
	return n
}

func TestFewLanesMove(t *testing.T) {
	for _, x := range []struct {
		logs, shares  int
		before, after []string
		most          int
	}{
		{1, 4, []string{"a"}, []string{"a", "b"}, 2},
		{1, 4, []string{"a", "b"}, []string{"a", "b", "c"}, 1},
		{1, 4, []string{"a", "b"}, []string{"b"}, 2},
		{1, 1, []string{"a"}, []string{"a", "b"}, 0},
		{4, 1, []string{"a"}, []string{"a", "b"}, 2},
		{4, 1, []string{"a", "b"}, []string{"a", "b", "c"}, 2},
		{6, 4, []string{"a", "b"}, []string{"a", "b", "c"}, 9},
	} {
		lanes := lanesOf(x.logs, x.shares)
		before := deal.Lanes(x.before, lanes, nil)
		if n := moved(before, deal.Lanes(x.after, lanes, before)); n > x.most {
			t.Errorf("%d logs of %d shares, %v to %v: %d lanes moved, want at most %d", x.logs, x.shares, x.before, x.after, n, x.most)
		}
	}
}
