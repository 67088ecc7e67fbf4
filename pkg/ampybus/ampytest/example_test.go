package ampytest_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// database stands for the one of a real service: what it holds outlives a
// crash, and changes in one transaction.
type database struct {
	sync.Mutex
	shares map[string]int    // by account and order
	seen   map[string]bool   // message ids that were applied
	epochs map[string]uint64 // the highest epoch that wrote, by lane
}

// add is the transaction: fence, dedupe, effect.
func (db *database) add(m *ampybus.Message, effect func(*ampybus.Message)) error {
	n, err := strconv.Atoi(string(m.Payload))
	if err != nil {
		return ampybus.Permanent(err)
	}
	db.Lock()
	defer db.Unlock()
	if m.Epoch < db.epochs[m.Lane] {
		return ampybus.ErrFenced // another process owns the lane by now
	}
	db.epochs[m.Lane] = m.Epoch
	if db.seen[m.Headers.MessageID] {
		return nil
	}
	db.seen[m.Headers.MessageID] = true
	db.shares[m.Headers.PartitionKey] += n
	effect(m)
	return nil
}

// fill is the nth message of a key: a fill of n shares.
func fill(key string, n int) ampybus.Envelope {
	h := ampybus.NewHeaders("ampy.fills.v1.FillEvent", "venue@1", "venue", "account|"+key)
	h.RunID = "test"
	return ampybus.Envelope{Topic: "ampy.dev.fills.v1.events", Headers: h, Payload: fmt.Append(nil, n)}
}

// testPositions is the body of a test function of a positions service.
func testPositions(t *testing.T) {
	ampytest.Run(t, ampytest.Plan{
		Consumer: ampybus.Consumer{Pattern: "ampy.dev.fills.v1.>", Group: "positions"},
		Message:  fill,
		Spoil:    func([]byte) []byte { return []byte("not a number") },
	}, func(t *testing.T, trial *ampytest.Trial) func(*ampybus.Bus) ampybus.Handler {
		db := &database{shares: make(map[string]int), seen: make(map[string]bool), epochs: make(map[string]uint64)}
		t.Cleanup(func() { // the run is over: what does the service say?
			want := make(map[string]int)
			for _, e := range trial.Published() {
				n, _ := strconv.Atoi(string(e.Payload))
				want[e.Headers.PartitionKey] += n
			}
			for key, n := range want {
				if db.shares[key] != n {
					t.Errorf("%s: %d shares, want %d", key, db.shares[key], n)
				}
			}
		})
		return func(*ampybus.Bus) ampybus.Handler { // one process
			return func(_ context.Context, m *ampybus.Message) error { return db.add(m, trial.Effect) }
		}
	})
}

// A service that adds up fills is tested against all faults: whatever happens,
// the shares are right in the end.
func Example() {
	var t *testing.T // of a test function
	testPositions(t)
}
