//go:build mutant

package kafkabinding

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant/mutanttest"
)

// Each way of breaking the transport must be noticed by the test named for it.
func TestMutantsAreKilled(t *testing.T) {
	mutanttest.Killed(t, 2*time.Minute, map[string]string{
		"caller-ctx-to-produce":  "TestLateCallFailsNoOther",
		"report-fail-on-timeout": "TestPromises/RepeatAfterUncertainStoresOneCopy",
		"autocommit":             "TestPromises/CrashKeepsOrder",
		"commit-max":             "TestPromises/GroupResumesAtCommit",
		"reset-offset-silently":  "TestGapsAreExact",
		"skip-gap":               "TestPromises/GapIsReported",
		"no-idempotence":         "TestProduceFaultsLoseAndRepeatNothing",
		"keep-silent-lanes":      "TestACutOwnerIsToldWithinItsLease",
		"no-drain":               "TestPromises/JoinerWaitsForDraining",
		"resume-behind-a-wait":   "TestAResumedPartitionDoesNotWaitForOthers",
		"give-up-at-eof":         "TestConnectionsThatEndAtOnceFailNothing",
		"guessable-mark":         "TestARecordThatLooksPackedIsTakenAsItIs",
		"no-look-back":           "TestPromises/AcknowledgedIsNeverLost",
	})
}
