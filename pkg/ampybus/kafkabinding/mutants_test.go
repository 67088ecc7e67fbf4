//go:build mutant

package kafkabinding

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Each way of breaking the transport must be noticed by the test named for it.
func TestMutantsAreKilled(t *testing.T) {
	for name, test := range map[string]string{
		"caller-ctx-to-produce":  "TestLateCallFailsNoOther",
		"report-fail-on-timeout": "TestPromises/RepeatAfterUncertainStoresOneCopy",
		"autocommit":             "TestPromises/CrashKeepsOrder",
		"commit-max":             "TestPromises/GroupResumesAtCommit",
		"reset-offset-silently":  "TestGapsAreExact",
		"skip-gap":               "TestPromises/GapIsReported",
		"no-idempotence":         "TestProduceFaultsLoseAndRepeatNothing",
		"keep-silent-lanes":      "TestACutOwnerIsToldWithinItsLease",
		"no-drain":               "TestPromises/JoinerWaitsForDraining",
		"no-look-back":           "TestPromises/AcknowledgedIsNeverLost",
	} {
		t.Run(name, func(t *testing.T) {
			pattern := "^" + strings.ReplaceAll(test, "/", "$/^") + "$"
			cmd := exec.Command(os.Args[0], "-test.run", pattern, "-test.timeout", "2m")
			cmd.Env = append(os.Environ(), "AMPY_MUTANT="+name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("%s survives %s", name, test)
			}
			if !strings.Contains(string(out), "--- FAIL: "+test) {
				t.Fatalf("%s ended without a verdict of %s:\n%s", name, test, out)
			}
		})
	}
}
