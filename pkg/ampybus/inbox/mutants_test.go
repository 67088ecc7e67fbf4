//go:build mutant

package inbox_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestMutantsAreKilled breaks the inbox in one place at a time and runs the
// test that guards it: the test has to fail, and to pass unbroken.
func TestMutantsAreKilled(t *testing.T) {
	for mutant, guard := range map[string]string{
		"inbox-no-dedupe":                "TestKilledProcessesApplyEachMessageOnce",
		"inbox-swallow-conflict":         "TestAConflictBecomesADeadLetter",
		"inbox-no-fence":                 "TestAHandlerThatWakesUpAsAStaleOwnerWritesNothing",
		"inbox-keep-failed-effect":       "TestAFailedEffectLeavesNothingAndRunsAgain",
		"inbox-append-without-fsync":     "TestACrashAtEveryStepForgetsNoMark",
		"inbox-checkpoint-without-fsync": "TestACheckpointIsTheOldOneOrTheNewAfterACrashAtEveryStep",
		"inbox-rename-without-fsync":     "TestACheckpointIsTheOldOneOrTheNewAfterACrashAtEveryStep",
		"inbox-start-from-zero":          "TestADamagedFileIsAnErrorAndNoEmptyOne",
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
