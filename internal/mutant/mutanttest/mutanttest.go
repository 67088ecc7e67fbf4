// Package mutanttest shows that tests notice when the code is broken.
package mutanttest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a guard may take while nothing is broken.
const patience = 3 * time.Minute

// Killed breaks the code in one place at a time and runs the test that guards
// it, in a process of its own: it must pass unbroken and fail with the mutant
// within limit. Waiting in vain for what must happen is a failure too. guards
// names for each mutant a test of the calling package, such as "TestX/sub".
// Most of them wait, so they run beside each other, as many as -parallel says.
func Killed(t *testing.T, limit time.Duration, guards map[string]string) {
	t.Helper()
	healthy := make(map[string]func() error)
	for _, guard := range guards {
		healthy[guard] = sync.OnceValue(func() error { return passes(guard) })
	}
	for name, guard := range guards {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := healthy[guard](); err != nil {
				t.Fatal(err)
			}
			out, err := run(guard, name, limit)
			switch {
			case err == nil:
				t.Errorf("%s survived %s\n%s", name, guard, out)
			case !strings.Contains(out, "--- FAIL: "+guard) && !strings.Contains(out, "panic: "):
				t.Errorf("%s ended %s without a verdict: %v\n%s", name, guard, err, out)
			}
		})
	}
}

// passes tells why guard does not pass while nothing is broken.
func passes(guard string) error {
	out, err := run(guard, "", patience)
	switch {
	case err != nil:
		return fmt.Errorf("%s does not pass unbroken: %w\n%s", guard, err, out)
	case !strings.Contains(out, "--- PASS: "+guard):
		return fmt.Errorf("%s is not run:\n%s", guard, out)
	}
	return nil
}

func run(guard, mutant string, limit time.Duration) (string, error) {
	pattern := "^" + strings.ReplaceAll(guard, "/", "$/^") + "$"
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run="+pattern, "-test.timeout="+limit.String()) //nolint:gosec,noctx // this test binary itself, with a limit of its own
	cmd.Env = append(os.Environ(), "AMPY_MUTANT="+mutant)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
