//go:build mutant

package keyed_test

import "testing"

// mutantSeeds is the number of worlds in which each mutant must be found.
const mutantSeeds = 64

// TestMutantsAreKilled breaks the core, the consumer or the store in one place
// at a time: the simulation has to notice each.
func TestMutantsAreKilled(t *testing.T) {
	for _, name := range []string{
		"commit-max", "commit-next", "two-inflight", "rotate-on-retry", "stale-done",
		"accept-known", "accept-stale-add", "run-parked", "unbounded", "no-wait",
		"ack-before-dlq", "no-dedupe", "no-dead-mark", "no-fence", "no-fence-commit",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AMPY_MUTANT", name)
			for seed := uint64(1); seed <= mutantSeeds; seed++ {
				if err := newWorld(seed, nil).run(); err != nil {
					t.Logf("killed by seed %d: %v", seed, err)
					return
				}
			}
			t.Errorf("survived %d seeds", mutantSeeds)
		})
	}
}

// TestMutantSeedsAreClean shows that the same worlds are clean when nothing is broken.
func TestMutantSeedsAreClean(t *testing.T) {
	t.Setenv("AMPY_MUTANT", "")
	for seed := uint64(1); seed <= mutantSeeds; seed++ {
		if err := newWorld(seed, nil).run(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
