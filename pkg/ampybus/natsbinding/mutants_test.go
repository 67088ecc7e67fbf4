//go:build mutant

package natsbinding

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/mutant/mutanttest"
)

// Each way of breaking the transport must be noticed by the test named for it.
func TestMutantsAreKilled(t *testing.T) {
	mutanttest.Killed(t, 2*time.Minute, map[string]string{
		"no-reset-on-takeover":   "TestPromises/CrashKeepsOrder",
		"async-pipeline-per-key": "TestPromises/LaterRecordsAreNotStoredAfterAFailure",
		"pass-gaps-in-batch":     "TestFullStreamRefuses",
		"report-fail-on-timeout": "TestPromises/RepeatAfterUncertainStoresOneCopy",
		"no-fence-commit":        "TestPromises/StaleOwnerIsFenced",
		"reset-offset-silently":  "TestPromises/GapIsReported",
		"trim-headers":           "TestHeadersThatNATSWouldChangeOrObeyAreRefused",
	})
}
