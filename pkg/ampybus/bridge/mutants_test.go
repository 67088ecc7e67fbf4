//go:build mutant

package bridge

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant/mutanttest"
)

// TestMutantsAreKilled breaks the bridge in one place at a time and runs the
// test that guards it: the test has to fail, and to pass unbroken.
func TestMutantsAreKilled(t *testing.T) {
	mutanttest.Killed(t, 2*time.Minute, map[string]string{
		"bridge-commits-what-it-took": "TestABridgeThatIsKilledAnywhereRepeatsAndLosesNothing",
		"bridge-sends-back":           "TestTwoBridgesSendNothingRound",
		"bridge-bare-message-id":      "TestRecordsOfOneMessageAreAllCarried",
		"pass-a-refused-record":       "TestWhatTheTargetRefusesStopsTheKeyOrIsPassed",
	})
}
