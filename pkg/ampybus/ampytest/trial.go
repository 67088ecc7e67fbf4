package ampytest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

// Trial is one run with one seed.
type Trial struct {
	// Seed decides which faults happen when.
	Seed uint64
	// Consumer is the plan's; a Service may change it, for example to give it a
	// durable DedupeStore.
	Consumer ampybus.Consumer
	// History is what has happened so far.
	History *History

	t      *testing.T
	plan   Plan
	dice   *rand.Rand // of the schedule; used by one goroutine
	broker *membinding.Broker
	start  func(*ampybus.Bus) ampybus.Handler
	ctx    context.Context // ends with the trial

	mu        sync.Mutex
	published []ampybus.Envelope
	ids       map[string]int     // index in published
	troubles  map[string][]Fault // of a message: what its next attempts meet
	poison    map[string]bool
	mended    bool // poison is accepted now
	quiet     bool // no more faults
	counts    map[Fault]int
	members   []*member
}

// Effect notes that m took effect. The handler must call it where the effect
// becomes visible to others: inside the transaction or critical section.
func (t *Trial) Effect(m *ampybus.Message) { t.History.Effect("", m) }

// Published lists what was published so far, in order. The payloads are those
// before Spoil.
func (t *Trial) Published() []ampybus.Envelope {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.published)
}

func newTrial(t *testing.T, p Plan, seed uint64) *Trial {
	h, err := NewHistory(p.Consumer.Pattern, p.Consumer.Group)
	if err != nil {
		t.Fatal(err)
	}
	return &Trial{
		Seed: seed, Consumer: p.Consumer, History: h,
		t: t, plan: p, dice: rand.New(rand.NewPCG(seed, 0)),
		broker: membinding.New(membinding.Config{}),
		ids:    make(map[string]int), troubles: make(map[string][]Fault),
		poison: make(map[string]bool), counts: make(map[Fault]int),
	}
}

// run is the life of a trial: publish under faults, let everything finish, send
// the dead letters back, judge.
func (t *Trial) run(service Service) *Report {
	ctx, end := context.WithCancel(t.t.Context())
	defer end()
	t.ctx = ctx
	t.start = service(t.t, t)
	bus := t.connect("publisher")
	defer t.close(bus)
	var members sync.WaitGroup
	for i := range t.plan.Members {
		m := &member{trial: t, name: fmt.Sprintf("member-%d", i), dice: rand.New(rand.NewPCG(t.Seed, uint64(i)+1))}
		t.members = append(t.members, m)
		members.Go(m.live)
	}
	var schedule sync.WaitGroup
	schedule.Go(t.disturb)
	t.publish(bus)
	schedule.Wait()
	t.calm()
	t.finish(bus)
	end()
	members.Wait()
	if err := t.History.Collect(t.t.Context(), bus); err != nil {
		t.t.Error(err)
	}
	return t.History.Check(Rules{Repeats: t.plan.Repeats, Redriven: true, Parks: t.plan.parks()})
}

func (t *Trial) connect(proc string) *ampybus.Bus {
	return ampybus.New(t.History.Transport(proc, t.broker.Transport()), ampybus.Options{})
}

func (t *Trial) close(b *ampybus.Bus) {
	if err := b.Close(); err != nil {
		t.t.Errorf("close bus: %v", err)
	}
}

// span is how long messages are published: long enough for several leases to
// end and lanes to change their owner.
func (t *Trial) span() time.Duration { return 10 * t.Consumer.Lease }

// wait lets d of virtual time pass, or ctx end.
func (t *Trial) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
