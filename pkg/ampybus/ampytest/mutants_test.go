//go:build mutant

package ampytest

import (
	"os"
	"os/exec"
	"testing"
)

// TestMutantsAreKilled shows that Run finds faults of the bus itself, not only
// of services: a sound service on a broken bus has to fail.
func TestMutantsAreKilled(t *testing.T) {
	for mutant, guard := range map[string]string{
		"commit-next":        "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"commit-max":         "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"two-inflight":       "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"rotate-on-retry":    "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"mark-before-effect": "TestAServiceThatDedupesAndFencesStandsAllFaults",
		"run-parked":         "TestAServiceThatDedupesAndFencesStandsAllFaults",
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
