package ampytest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// publish hands all messages over, some of them twice.
func (t *Trial) publish(bus *ampybus.Bus) {
	pace := t.span() / time.Duration(t.plan.Messages)
	next := make([]int, t.plan.Keys)
	dice := rand.New(rand.NewPCG(t.Seed, 1<<32))
	bad := []int{dice.IntN(t.plan.Keys), dice.IntN(t.plan.Keys)} // more keys at once would look like an outage
	for range t.plan.Messages {
		k := dice.IntN(t.plan.Keys)
		e := t.plan.Message(keyName(k), next[k])
		next[k]++
		e = t.register(e, dice, slices.Contains(bad, k))
		for t.History.Publish(t.ctx, bus, e) != nil && t.ctx.Err() == nil {
			t.wait(t.ctx, pace)
		}
		if t.plan.has(Duplicate) && dice.IntN(10) == 0 {
			t.again(bus, dice)
		}
		t.wait(t.ctx, time.Duration(dice.Int64N(2*int64(pace))))
	}
}

// register decides what will happen to a message, and returns it as it is to
// be published.
func (t *Trial) register(e ampybus.Envelope, dice *rand.Rand, mayBeBad bool) ampybus.Envelope {
	troubles := t.plan.troubles(t.Seed, e)
	bad := t.plan.has(Poison) && mayBeBad && dice.IntN(8) == 0
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ids[e.Headers.MessageID] = len(t.published)
	t.published = append(t.published, e)
	t.troubles[e.Headers.MessageID] = troubles
	if bad {
		t.counts[Poison]++
		t.poison[e.Headers.MessageID] = true
		t.History.ExpectDead(e)
		if t.plan.Spoil != nil {
			e.Payload = t.plan.Spoil(slices.Clone(e.Payload))
		}
	}
	return e
}

// troubles draws what the first attempts on a message meet.
func (p *Plan) troubles(seed uint64, e ampybus.Envelope) (fs []Fault) {
	for _, x := range []struct {
		fault Fault
		odds  uint64
	}{{Failure, 8}, {LostResult, 16}, {Crash, 40}, {Freeze, 40}} {
		if p.has(x.fault) && pick(seed, e, x.fault)%x.odds == 0 {
			fs = append(fs, x.fault)
		}
	}
	return fs
}

// pick draws a number for one message and fault, whatever the order of draws.
func pick(seed uint64, e ampybus.Envelope, f Fault) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, s := range []string{e.Headers.PartitionKey, string(e.Payload), string(f)} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	return rand.New(rand.NewPCG(seed, h)).Uint64()
}

// again stores an earlier message once more, under another publish id.
func (t *Trial) again(bus *ampybus.Bus, dice *rand.Rand) {
	t.mu.Lock()
	e := t.published[dice.IntN(len(t.published))]
	if t.poison[e.Headers.MessageID] {
		t.mu.Unlock()
		return
	}
	t.counts[Duplicate]++
	n := t.counts[Duplicate]
	t.mu.Unlock()
	f := ampybus.Forward{Topic: e.Topic, Headers: e.Headers, Wire: e.Payload, ID: fmt.Sprintf("%s.again.%d", e.Headers.MessageID, n)}
	for {
		_, err := bus.Forward(t.ctx, f)
		if err == nil || t.ctx.Err() != nil {
			return
		}
		t.wait(t.ctx, time.Second)
	}
}
