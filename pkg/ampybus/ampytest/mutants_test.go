//go:build mutant

package ampytest

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant/mutanttest"
)

// TestMutantsAreKilled shows that Run finds faults of the bus itself, not only
// of services: a sound service on a broken bus has to fail.
func TestMutantsAreKilled(t *testing.T) {
	mutanttest.Killed(t, time.Minute, map[string]string{
		"commit-next":        "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"commit-max":         "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"two-inflight":       "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"rotate-on-retry":    "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"mark-before-effect": "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"run-parked":         "TestAServiceThatDedupesAndFencesStandsAllFaults",
	})
}
