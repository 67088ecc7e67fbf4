package bridge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

// worlds is how many random stories a test run tells; each takes about 10 ms.
const worlds = 60

// However often a bridge is killed, cut off from one side or the other, or
// loses acknowledgements: the target ends with each record once and each key in
// order, as long as repeats come within its dedupe window.
func TestABridgeThatIsKilledAnywhereRepeatsAndLosesNothing(t *testing.T) {
	for seed := range uint64(worlds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := membinding.New(membinding.Config{})
				b := membinding.New(membinding.Config{DedupeWindow: 24 * time.Hour})
				tell(t, rand.New(rand.NewPCG(seed, 1)), a, b)
				once(t, a, b)
				sameRecords(t, held(t, a.Transport(), everything), held(t, b.Transport(), everything))
			})
		})
	}
}

// Beyond the window a repeat is a second record; the first ones still come in
// order, and each is there.
func TestRepeatsBeyondTheWindowKeepTheOrderOfTheFirst(t *testing.T) {
	for seed := range uint64(worlds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := membinding.New(membinding.Config{})
				b := membinding.New(membinding.Config{DedupeWindow: time.Nanosecond})
				tell(t, rand.New(rand.NewPCG(seed, 2)), a, b)
				once(t, a, b)
				got := held(t, b.Transport(), everything)
				first, seen := got[:0], make(map[string]bool)
				for _, d := range got {
					if id := messageID(&d); !seen[id] {
						seen[id] = true
						first = append(first, d)
					}
				}
				sameRecords(t, held(t, a.Transport(), everything), first)
			})
		})
	}
}

// tell makes up a story: publishes, lives of one or two bridge processes that
// end in some way, and faults of the target meanwhile.
func tell(t *testing.T, rng *rand.Rand, a, b *membinding.Broker) {
	source, n := a.Transport(), 0
	for range 2 + rng.IntN(5) {
		for range rng.IntN(40) {
			publish(t, source, order(string(rune('a'+rng.IntN(4))), n))
			n++
		}
		done := make(chan struct{})
		lives := 1 + rng.IntN(2)
		for range lives {
			seed := rng.Uint64()
			go func() {
				live(t, a, b, seed)
				done <- struct{}{}
			}()
		}
		restore := disturb(rng, b)
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
		restore()
		for range lives {
			<-done
		}
	}
}

func disturb(rng *rand.Rand, b *membinding.Broker) (restore func()) {
	switch rng.IntN(3) {
	case 0:
		return b.Outage()
	case 1:
		return b.Refuse("ampy.dev.>", fmt.Errorf("an election: %w", driver.ErrUnavailable))
	}
	return func() {}
}

// live is one process: it ends orderly, or as by kill -9 at any moment.
func live(t *testing.T, a, b *membinding.Broker, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	from, to := a.Transport(), b.Transport()
	if rng.IntN(3) == 0 {
		restore := to.LoseAcks()
		time.AfterFunc(time.Duration(rng.IntN(2000))*time.Millisecond, restore)
	}
	br, err := New(Config{From: from, To: to, Pattern: everything, Group: "bridge"})
	if err != nil {
		t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rng.IntN(5_000_000))*time.Microsecond)
	defer cancel()
	if rng.IntN(2) == 0 {
		time.AfterFunc(time.Duration(rng.IntN(3_000_000))*time.Microsecond, func() {
			from.Crash()
			to.Crash()
		})
	}
	_ = br.Run(ctx) // how it ends is not the question
}
