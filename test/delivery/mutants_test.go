//go:build mutant

package delivery

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant/mutanttest"
)

// TestMutantsAreKilled breaks the code in one place at a time and runs the test
// that guards it: the test has to fail, and to pass unbroken.
func TestMutantsAreKilled(t *testing.T) {
	mutanttest.Killed(t, 45*time.Second, map[string]string{
		"async-pipeline-per-key":     "TestPublishingStandsOutagesOfTheBroker/nats",
		"report-fail-on-timeout":     "TestWhatMayBeStoredIsNeverReportedAsFailed/nats",
		"no-reset-on-takeover":       "TestTakeoversKeepTheOrderOfKeys/nats",
		"ack-before-dlq":             "TestNothingIsLostWhileDeadLettersCannotBeStored/nats",
		"same-msgid-dlq":             "TestARedriveThatCrashesAnywhereRepeatsNothing/park/nats",
		"run-parked":                 "TestAParkedKeyIsReleasedInOrderAcrossTakeovers/memory",
		"no-prefix-check-on-redrive": "TestAForgedTargetIsNeverSentTo/nats",
		"mark-before-effect":         "TestPoisonBecomesOneDeadLetterEachAndNothingElseDoes/memory",
		"commit-max":                 "TestTakeoversKeepTheOrderOfKeys/memory",
		"outage-is-poison":           "TestADeadDependencyMakesNoDeadLetters/memory",
		"reset-offset-silently":      "TestEveryGapIsReportedWithItsExactRange/nats",
		"rotate-on-retry":            "TestPoisonBecomesOneDeadLetterEachAndNothingElseDoes/memory",
	})
}

// TestMutantsAreKilledOnKafka: a client that repeats by itself hides less than
// one would think.
func TestMutantsAreKilledOnKafka(t *testing.T) {
	mutanttest.Killed(t, 45*time.Second, map[string]string{
		"async-pipeline-per-key": "TestPublishingTellsTheTruthThroughBrokenConnections/kafka",
		"report-fail-on-timeout": "TestWhatMayBeStoredIsNeverReportedAsFailed/kafka",
		"autocommit":             "TestTakeoversKeepTheOrderOfKeys/kafka",
	})
}
