package chaos

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Dice returns the random source of a test, and logs its seed. SEED=n replays
// one; without it the seed is 1, so that a fresh clone tests what CI tests.
func Dice(tb testing.TB) *rand.Rand {
	tb.Helper()
	seed := uint64(1)
	if s := os.Getenv("SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			tb.Fatalf("SEED=%q: not a number", s)
		}
		seed = n
	}
	tb.Logf("SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
