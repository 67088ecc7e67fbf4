//go:build mutant

package ampybus

import (
	"os"
	"os/exec"
	"testing"
)

// TestMutantsAreKilled breaks the bus in one place at a time and runs the test
// that guards it: the test has to fail, and to pass unbroken.
func TestMutantsAreKilled(t *testing.T) {
	for mutant, guard := range map[string]string{
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
	} {
		t.Run(mutant, func(t *testing.T) {
			if out, err := runGuard(guard, ""); err != nil {
				t.Fatalf("%s fails unbroken: %v\n%s", guard, err, out)
			}
			if out, err := runGuard(guard, mutant); err == nil {
				t.Errorf("%s survived %s\n%s", mutant, guard, out)
			}
		})
	}
}

func runGuard(guard, mutant string) ([]byte, error) {
	cmd := exec.Command(os.Args[0], "-test.run=^"+guard+"$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), "AMPY_MUTANT="+mutant)
	return cmd.CombinedOutput()
}
