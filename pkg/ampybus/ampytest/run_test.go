package ampytest

import (
	"context"
	"sync"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// ledger is a service's store: it applies a message once and refuses a former
// owner, unless it is broken on purpose.
type ledger struct {
	mu      sync.Mutex
	applied map[string]bool
	epochs  map[string]uint64
	broken  string
}

func newLedger(broken string) *ledger {
	return &ledger{applied: make(map[string]bool), epochs: make(map[string]uint64), broken: broken}
}

func (l *ledger) apply(m *ampybus.Message, effect func(*ampybus.Message)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Epoch < l.epochs[m.Lane] && l.broken != "no fence" {
		return ampybus.ErrFenced
	}
	l.epochs[m.Lane] = max(l.epochs[m.Lane], m.Epoch)
	if l.applied[m.Headers.MessageID] && l.broken != "no dedupe" {
		return nil
	}
	l.applied[m.Headers.MessageID] = true
	effect(m)
	return nil
}

func orders() Plan {
	return Plan{Consumer: ampybus.Consumer{Pattern: "ampy.dev.orders.v1.>", Group: "oms"}}
}

// with is a service over a ledger.
func with(broken string) Service {
	return func(_ *testing.T, trial *Trial) func(*ampybus.Bus) ampybus.Handler {
		l := newLedger(broken)
		return func(*ampybus.Bus) ampybus.Handler {
			return func(_ context.Context, m *ampybus.Message) error { return l.apply(m, trial.Effect) }
		}
	}
}

func TestAServiceThatDedupesAndFencesStandsAllFaults(t *testing.T) {
	p := orders()
	Run(t, p, with(""))
}

func TestSkippingDomainsStandAllFaultsToo(t *testing.T) {
	p := orders()
	p.Consumer.OnDead = ampybus.Skip
	p.Seeds = 5
	Run(t, p, with(""))
}

func TestSharesOfALogStandAllFaults(t *testing.T) {
	p := orders()
	p.Consumer.Shares, p.Members = 4, 3
	Run(t, p, with(""))
}

func TestAPlainHandlerAppliesAtLeastOnce(t *testing.T) {
	p := orders()
	p.Repeats = true
	Run(t, p, func(_ *testing.T, trial *Trial) func(*ampybus.Bus) ampybus.Handler {
		return func(*ampybus.Bus) ampybus.Handler {
			return func(_ context.Context, m *ampybus.Message) error { trial.Effect(m); return nil }
		}
	})
}
