//go:build mutant

package bridge

import (
	"os"
	"os/exec"
	"testing"
)

// TestMutantsAreKilled breaks the bridge in one place at a time and runs the
// test that guards it: the test has to fail, and to pass unbroken.
func TestMutantsAreKilled(t *testing.T) {
	for mutant, guard := range map[string]string{
		"bridge-commits-what-it-took": "TestABridgeThatIsKilledAnywhereRepeatsAndLosesNothing",
		"bridge-sends-back":           "TestTwoBridgesSendNothingRound",
		"bridge-bare-message-id":      "TestRecordsOfOneMessageAreAllCarried",
		"pass-a-refused-record":       "TestWhatTheTargetRefusesStopsTheKeyOrIsPassed",
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
	cmd := exec.Command(os.Args[0], "-test.run=^"+guard+"$", "-test.timeout=120s")
	cmd.Env = append(os.Environ(), "AMPY_MUTANT="+mutant)
	return cmd.CombinedOutput()
}
