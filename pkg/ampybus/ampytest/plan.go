package ampytest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Fault is one kind of trouble that Run makes.
type Fault string

// Faults. All take place in virtual time, and are chosen by the seed.
const (
	// Duplicate stores a message a second time, past the broker's own
	// deduplication, as a producer does that was restarted.
	Duplicate Fault = "duplicate"
	// Failure fails an attempt before the handler is called.
	Failure Fault = "failure"
	// LostResult fails an attempt after the handler has succeeded: the effect
	// stands, and the message comes again.
	LostResult Fault = "lost result"
	// Crash kills a process (as kill -9 does): at any moment, and right behind
	// an effect.
	Crash Fault = "crash"
	// Freeze stops a process in the middle of an attempt for twice its lease;
	// then it goes on as if nothing had happened, while another one owns its
	// lanes. Only a store that dedupes or fences (by Message.Epoch) in the
	// effect's own transaction stands it.
	Freeze Fault = "freeze"
	// Cut severs a process from the broker, for shorter or longer than its lease.
	Cut Fault = "cut"
	// Stop ends a process in an orderly way, and starts it again.
	Stop Fault = "stop"
	// Outage takes the broker away from all for some seconds.
	Outage Fault = "outage"
	// Poison makes messages that must become dead letters. At the end they are
	// mended and sent back.
	Poison Fault = "poison"
)

// Faults lists all kinds of faults.
func Faults() []Fault {
	return []Fault{Duplicate, Failure, LostResult, Crash, Freeze, Cut, Stop, Outage, Poison}
}

// Plan says what Run does to a service. Consumer is required; the zero value
// of the rest works.
type Plan struct {
	// Consumer is the group under test. A nil Dedupe begins empty in each
	// process, as memory does.
	Consumer ampybus.Consumer
	// Message makes message n (from 0) of a key; its headers must carry that
	// key. Nil: order requests whose payload reads "key-n".
	Message func(key string, n int) ampybus.Envelope
	// Spoil makes poison of a message: the handler must refuse it with
	// Permanent or a *PoisonError. Nil: Run refuses it in the handler's place.
	Spoil func(payload []byte) []byte
	// Messages and Keys: zero is 120 messages over 8 keys.
	Messages, Keys int
	// Members is how many processes run at once. Zero: 2.
	Members int
	// Without leaves out faults that the service is not made for.
	Without []Fault
	// Repeats accepts effects that happen again: at least once, which is all
	// that a handler without a transactional store can promise. Freeze is left
	// out then.
	Repeats bool
	// Seeds is how many different runs there are. Zero: 20. The environment
	// variable SEED replays one.
	Seeds int
}

const (
	defaultMessages = 120
	defaultKeys     = 8
	defaultMembers  = 2
	defaultSeeds    = 20
	defaultLease    = 10 * time.Second
)

func (p Plan) withDefaults() Plan {
	p.Messages = orElse(p.Messages, defaultMessages)
	p.Keys = orElse(p.Keys, defaultKeys)
	p.Members = orElse(p.Members, defaultMembers)
	p.Seeds = orElse(p.Seeds, defaultSeeds)
	p.Consumer.Lease = orElse(p.Consumer.Lease, defaultLease)
	if p.Message == nil {
		p.Message = orderRequest
	}
	if p.Repeats {
		p.Without = append(slices.Clone(p.Without), Freeze)
	}
	return p
}

func orElse[T int | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

func (p *Plan) has(f Fault) bool { return !slices.Contains(p.Without, f) }

// orderRequest is the default message.
func orderRequest(key string, n int) ampybus.Envelope {
	h := ampybus.NewHeaders("ampy.orders.v1.OrderRequest", "ampytest@1", "ampytest", key)
	h.RunID = "ampytest"
	return ampybus.Envelope{Topic: "ampy.dev.orders.v1.requests", Headers: h, Payload: fmt.Appendf(nil, "%s-%d", key, n)}
}

// parks reports whether dead letters of the plan's messages park their key.
func (p *Plan) parks() bool {
	if p.Consumer.OnDead != 0 {
		return p.Consumer.OnDead == ampybus.Park
	}
	t, err := ampybus.ParseTopic(p.Message(keyName(0), 0).Topic)
	if err != nil {
		return false
	}
	policy, _ := ampybus.PolicyFor(t.Domain)
	return policy.OnDead == ampybus.Park
}

func keyName(n int) string { return fmt.Sprintf("key%d", n) }

// Service sets the service under test up for one run: it makes what outlives a
// crash (the database), registers its end with t.Cleanup, and returns how a
// process starts. That function is called for each process, again after each
// crash: what it makes is memory, and is lost with the process. bus is the
// process's own.
type Service func(t *testing.T, trial *Trial) (start func(bus *ampybus.Bus) ampybus.Handler)
