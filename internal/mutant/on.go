//go:build mutant

package mutant

import "os"

// On reports whether the environment variable AMPY_MUTANT names this mutant.
// It is read on every call, so that a test can switch mutants.
func On(name string) bool { return os.Getenv("AMPY_MUTANT") == name }
