package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

var errRefused = errors.New("the handler refuses it")

// troubles decides which messages are poison, and which fail for a while.
type troubles struct {
	mu     sync.Mutex
	poison map[string]bool // by payload
	passes map[string]int  // attempts that fail, by payload
	mended bool
}

// mix makes dead of n messages poison and lets flaky fail twice, all of them in
// the first bad of keys; which ones the dice say.
func (w *world) mix(n, keys, bad, dead, flaky int) *troubles {
	var names []string
	for i := range n {
		if i%keys < bad {
			names = append(names, fmt.Sprintf("k%d-%d", i%keys, i/keys))
		}
	}
	w.Dice.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	x := &troubles{poison: make(map[string]bool), passes: make(map[string]int)}
	for _, p := range names[:dead] {
		x.poison[p] = true
	}
	for _, p := range names[dead : dead+flaky] {
		x.passes[p] = 2
	}
	return x
}

// before is h with the troubles in front of it.
func (x *troubles) before(h ampybus.Handler) ampybus.Handler {
	return func(ctx context.Context, m *ampybus.Message) error {
		p := string(m.Payload)
		x.mu.Lock()
		switch {
		case x.poison[p] && !x.mended:
			x.mu.Unlock()
			return ampybus.Permanent(errRefused)
		case x.passes[p] > 0:
			x.passes[p]--
			x.mu.Unlock()
			return errRefused
		}
		x.mu.Unlock()
		return h(ctx, m)
	}
}

// deadOf is how many of the first n messages over keys are poison.
func (x *troubles) deadOf(n, keys int) (dead int) {
	for i := range n {
		if x.poison[fmt.Sprintf("k%d-%d", i%keys, i/keys)] {
			dead++
		}
	}
	return dead
}

func (x *troubles) mend() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.mended = true
}

// quickly is a consumer whose retries take no long time.
func (w *world) quickly() ampybus.Consumer {
	c := w.consumer()
	c.Retry = &ampybus.Retry{Attempts: 5, Elapsed: time.Minute, Base: 5 * time.Millisecond, Cap: 50 * time.Millisecond}
	return c
}

// feed publishes messages from to n, and tells the history which must die.
func (w *world) feed(x *troubles, from, n, keys int, pace time.Duration) {
	for i := from; i < n; i++ {
		e := w.Message(fmt.Sprintf("k%d", i%keys), i/keys)
		if x.poison[string(e.Payload)] {
			w.History.ExpectDead(e)
		}
		w.History.PublishAsync(w.Bus, e, nil)
		if pace > 0 {
			w.Wait(pace)
		}
	}
}

func TestPoisonBecomesOneDeadLetterEachAndNothingElseDoes(t *testing.T) {
	on(t, chaos.NewsTopic, poisonMix)
}

func poisonMix(w *world) {
	n := scaled(5000, 10_000)
	dead, flaky := n/50, n/20
	x := w.mix(n, 100, 20, dead, flaky)
	m := w.join("a", w.quickly(), x.before(w.Apply("a")))
	w.feed(x, 0, n, 100, 0)
	w.Progress(n - dead)
	w.Drained()
	m.mustLeave()
	r := w.Check(ampytest.Rules{})
	if r.Dead != dead || r.Applied != n-dead {
		w.t.Errorf("%d dead letters and %d applied, want %d and %d", r.Dead, r.Applied, dead, n-dead)
	}
	w.AtLeast("dead letters", r.Dead, 100)
}

// TestFailingKeysDelayOthersLessThanTwice measures in virtual time, where
// nothing but the bus itself decides who waits for whom.
func TestFailingKeysDelayOthersLessThanTwice(t *testing.T) {
	var p99 [2]time.Duration
	for run, dead := range []int{0, 200} {
		inMemory(t, chaos.NewsTopic, func(w *world) {
			const n, keys, bad = 10_000, 100, 20
			x := w.mix(n, keys, bad, dead, dead*5/2)
			var mu sync.Mutex
			var waits []time.Duration
			c := w.quickly()
			c.Workers = 8
			m := w.join("a", c, x.before(func(ctx context.Context, msg *ampybus.Message) error {
				key, err := strconv.Atoi(strings.TrimPrefix(msg.Headers.PartitionKey, "k"))
				w.Wait(5 * time.Millisecond)
				if err == nil && key >= bad {
					mu.Lock()
					waits = append(waits, time.Since(msg.StoredAt))
					mu.Unlock()
				}
				return w.Apply("a")(ctx, msg)
			}))
			w.feed(x, 0, n, keys, time.Millisecond)
			w.Drained()
			m.mustLeave()
			r := w.Check(ampytest.Rules{})
			w.AtLeast("dead letters", r.Dead, dead)
			slices.Sort(waits)
			p99[run] = waits[len(waits)*99/100]
		})
	}
	t.Logf("p99 of healthy keys: %v, with failing keys %v", p99[0], p99[1])
	if p99[1] >= 2*p99[0] {
		t.Errorf("healthy keys wait %v beside failing ones, %v without: twice as long or more", p99[1], p99[0])
	}
}

// lettersOf lists a key's dead letters in the order of their log.
func (w *world) lettersOf(key string) (payloads, reasons []string) {
	for d, err := range w.Bus.DeadLetters(w.t.Context(), ampybus.Range{Pattern: dlqPattern}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if d.Headers.PartitionKey == key {
			payloads = append(payloads, string(d.Payload))
			reasons = append(reasons, d.Code)
		}
	}
	return payloads, reasons
}

func TestAParkedKeyIsReleasedInOrderAcrossTakeovers(t *testing.T) {
	on(t, chaos.OrdersTopic, parkedKey)
}

func parkedKey(w *world) {
	w.short()
	n, keys, bad := scaled(1000, 2000), 20, 4
	x := &troubles{poison: make(map[string]bool), passes: make(map[string]int)}
	for k := range bad {
		x.poison[fmt.Sprintf("k%d-%d", k, 10*k+3)] = true
	}
	per := n / keys
	parked := 0
	for k := range bad {
		parked += per - (10*k + 3)
	}
	first := w.join("first", w.quickly(), x.before(w.Apply("first")))
	second := w.join("second", w.quickly(), x.before(w.Apply("second")))
	w.feed(x, 0, n, keys, 0)
	w.Progress((n - parked) / 2)
	if w.owner(func(string) bool { return true }) == "first" {
		first.crash()
	} else {
		second.crash()
	}
	w.Progress(n - parked)
	w.Drained()
	for k := range bad {
		payloads, reasons := w.lettersOf(fmt.Sprintf("k%d", k))
		for i, p := range payloads {
			if want := fmt.Sprintf("k%d-%d", k, 10*k+3+i); p != want {
				w.t.Fatalf("dead letter %d of key k%d is %s, want %s", i, k, p, want)
			}
			if i > 0 && !strings.HasPrefix(reasons[i], ampybus.ReasonPredecessorDead) {
				w.t.Fatalf("dead letter %s: %s", p, reasons[i])
			}
		}
		if len(payloads) != per-(10*k+3) {
			w.t.Errorf("key k%d has %d dead letters, want %d", k, len(payloads), per-(10*k+3))
		}
	}
	x.mend()
	w.redriveAll()
	_, _ = first.leave(), second.leave() // one of them was killed
	r := w.Check(ampytest.Rules{Parks: true, Redriven: true})
	w.AtLeast("dead letters", r.Dead, parked)
	w.AtLeast("takeovers", r.Takeovers, 1)
}

// redriveAll sends dead letters back until none is open.
func (w *world) redriveAll() {
	w.t.Helper()
	for range 10 {
		open := 0
		for d, err := range w.Bus.DeadLetters(w.t.Context(), ampybus.Range{Pattern: dlqPattern}) {
			if err != nil {
				w.t.Fatal(err)
			}
			open++
			if _, err := w.Bus.Redrive(w.t.Context(), d, ampybus.RedriveOptions{Reason: "mended", Requester: "delivery@1"}); err != nil {
				w.t.Fatal(err)
			}
		}
		if open == 0 {
			return
		}
		w.Drained()
	}
	w.t.Error("there still are dead letters after ten redrives")
}
