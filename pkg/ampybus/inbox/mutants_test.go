//go:build mutant

package inbox_test

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant/mutanttest"
)

// TestMutantsAreKilled breaks the inbox in one place at a time and runs the
// test that guards it: the test has to fail, and to pass unbroken.
func TestMutantsAreKilled(t *testing.T) {
	mutanttest.Killed(t, time.Minute, map[string]string{
		"inbox-no-dedupe":                "TestKilledProcessesApplyEachMessageOnce",
		"inbox-swallow-conflict":         "TestAConflictBecomesADeadLetter",
		"inbox-no-fence":                 "TestAHandlerThatWakesUpAsAStaleOwnerWritesNothing",
		"inbox-keep-failed-effect":       "TestAFailedEffectLeavesNothingAndRunsAgain",
		"inbox-append-without-fsync":     "TestACrashAtEveryStepForgetsNoMark",
		"inbox-checkpoint-without-fsync": "TestACheckpointIsTheOldOneOrTheNewAfterACrashAtEveryStep",
		"inbox-rename-without-fsync":     "TestACheckpointIsTheOldOneOrTheNewAfterACrashAtEveryStep",
		"inbox-start-from-zero":          "TestADamagedFileIsAnErrorAndNoEmptyOne",
	})
}
