package delivery

import (
	"os"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
)

// TestMain runs tests; as a child process it runs a consumer or a server.
func TestMain(m *testing.M) {
	chaos.Main(map[string]chaos.Role{"consumer": chaos.RunService, "slow": slowRole}, func() { brokertest.Main(m) })
}

// scaled is n for every run, and full with AMPY_FULL=1.
func scaled(n, full int) int {
	if os.Getenv("AMPY_FULL") != "" {
		return full
	}
	return n
}
