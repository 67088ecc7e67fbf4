package inbox_test

import (
	"fmt"
	"os"
	"testing"
)

// TestMain lets the test binary be a consumer process to kill, and stops the
// PostgreSQL server that the tests may have started.
func TestMain(m *testing.M) {
	if path := os.Getenv(childDatabase); path != "" {
		if err := beChild(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	server.stop()
	os.Exit(code)
}
