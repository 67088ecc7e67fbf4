//go:build mutant

package delivery

import (
	"os"
	"os/exec"
	"testing"
)

// TestMutantsAreKilled breaks the code in one place at a time and runs the test
// that guards it: the test has to fail, and to pass unbroken.
func TestMutantsAreKilled(t *testing.T) {
	for mutant, guard := range map[string]string{
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
	} {
		t.Run(mutant, func(t *testing.T) { killed(t, mutant, guard) })
	}
}

// TestMutantsAreKilledOnKafka: a client that repeats by itself hides less than
// one would think.
func TestMutantsAreKilledOnKafka(t *testing.T) {
	for mutant, guard := range map[string]string{
		"async-pipeline-per-key": "TestPublishingTellsTheTruthThroughBrokenConnections/kafka",
		"report-fail-on-timeout": "TestWhatMayBeStoredIsNeverReportedAsFailed/kafka",
		"autocommit":             "TestLostAcknowledgementsRepeatNoEffect/kafka",
	} {
		t.Run(mutant, func(t *testing.T) { killed(t, mutant, guard) })
	}
}

func killed(t *testing.T, mutant, guard string) {
	t.Helper()
	if out, err := runGuard(guard, "", "3m"); err != nil {
		t.Fatalf("%s fails unbroken: %v\n%s", guard, err, out)
	}
	// Waiting in vain for what must happen is a failure too.
	if out, err := runGuard(guard, mutant, "45s"); err == nil {
		t.Errorf("%s survived %s\n%s", mutant, guard, out)
	}
}

func runGuard(guard, mutant, timeout string) ([]byte, error) {
	cmd := exec.Command(os.Args[0], "-test.run=^"+guard+"$", "-test.timeout="+timeout)
	cmd.Env = append(os.Environ(), "AMPY_MUTANT="+mutant)
	return cmd.CombinedOutput()
}
