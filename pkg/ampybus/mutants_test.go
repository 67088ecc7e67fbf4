//go:build mutant

package ampybus

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant/mutanttest"
)

// TestMutantsAreKilled breaks the bus in one place at a time and runs the test
// that guards it: the test has to fail, and to pass unbroken.
func TestMutantsAreKilled(t *testing.T) {
	mutanttest.Killed(t, time.Minute, map[string]string{
		"async-pipeline-per-key":     "TestPublishingKeepsOrderAndTellsTheTruthThroughFaults",
		"report-fail-on-timeout":     "TestPublishingKeepsOrderAndTellsTheTruthThroughFaults",
		"ack-before-dlq":             "TestNothingIsFinishedBeforeItsDeadLetterIsStored",
		"same-msgid-dlq":             "TestADeadLetterIsNoRepeatOfItsOriginal",
		"mark-before-effect":         "TestAMessageIsMarkedOnlyAfterItsEffect",
		"run-parked":                 "TestASuccessorDoesNotOvertakeAParkedKey",
		"shutdown-is-failure":        "TestShutdownIsNoFailure",
		"halt-at-stop":               "TestShutdownRepeatsNothingThatIsFinished",
		"no-quarantine":              "TestAMessageThatKillsTheProcessIsQuarantined",
		"outage-is-poison":           "TestAnOutageMakesNoDeadLetters",
		"no-prefix-check-on-redrive": "TestAForgedTargetIsRefused",
		"no-gzip-limit":              "TestBombIsRefusedWithin32MiB",
	})
}
