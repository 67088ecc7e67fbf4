package ampytest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
)

// seedVariable names one seed to replay.
const seedVariable = "SEED"

// Run runs a service on an in-memory broker, once for each seed, while messages
// are published and the plan's faults happen; then the faults end, dead letters
// are mended and sent back, and the history is checked: nothing lost, nothing
// applied twice, every key in order. Time is virtual, so a run takes
// milliseconds; the service must not wait for anything outside of it.
//
// A failure prints its seed, and SEED=n replays it. The seed decides which
// faults happen when; the order in which goroutines run stays free, so a rare
// failure may need -count. With -artifacts the history is kept as JSON lines.
//
// Run fails as well when a kind of fault of the plan did not happen in any of
// the runs, or when the service reported no effect.
func Run(t *testing.T, p Plan, service Service) {
	t.Helper()
	if err := p.Consumer.Validate(); err != nil {
		t.Fatal(err)
	}
	p = p.withDefaults()
	seeds, replay := seedsOf(t, p.Seeds)
	counts := make(map[Fault]int)
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				trial := newTrial(t, p, seed)
				report := trial.run(service)
				trial.judge(report)
				for f, n := range trial.counts {
					counts[f] += n
				}
			})
		})
	}
	if replay || t.Failed() {
		return
	}
	for _, f := range Faults() {
		if p.has(f) && counts[f] == 0 {
			t.Errorf("vacuous: no %s happened in %d runs; use more messages or seeds", f, len(seeds))
		}
	}
	t.Logf("faults in %d runs: %v", len(seeds), counts)
}

// seedsOf is the seed to replay, or the first n.
func seedsOf(t *testing.T, n int) (seeds []uint64, replay bool) {
	t.Helper()
	if s := os.Getenv(seedVariable); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%s=%q: not a seed: use a number that a failure printed", seedVariable, s)
		}
		return []uint64{seed}, true
	}
	for i := range n {
		seeds = append(seeds, uint64(i)+1)
	}
	return seeds, false
}

// judge fails the test for what the report found.
func (t *Trial) judge(r *Report) {
	if r.Applied == 0 {
		t.t.Error("vacuous: the service reported no effect: its handler must call Trial.Effect")
	}
	if err := r.Err(); err != nil {
		t.t.Error(err)
	}
	if !t.t.Failed() {
		return
	}
	t.t.Logf("faults: %v\n%+v", t.counts, r.figuresOnly())
	t.t.Logf("replay: %s=%d go test -run '^%s$' -artifacts", seedVariable, t.Seed, topName(t.t.Name()))
	if f, err := os.Create(filepath.Join(t.t.ArtifactDir(), "history.jsonl")); err == nil {
		if err := t.History.WriteJSON(f); err != nil {
			t.t.Log(err)
		}
		_ = f.Close()
	}
}

func (r *Report) figuresOnly() Report {
	c := *r
	c.Findings = nil
	return c
}

// topName is the name of the test function.
func topName(name string) string {
	for i := range len(name) {
		if name[i] == '/' {
			return name[:i]
		}
	}
	return name
}
