package ampytest

import (
	"strings"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// disturb makes trouble for processes and the broker while messages are
// published, one thing after the other, as the seed says.
func (t *Trial) disturb() {
	var running sync.WaitGroup
	defer running.Wait()
	lease := t.Consumer.Lease
	for end := time.Now().Add(t.span()); time.Now().Before(end); {
		t.wait(t.ctx, lease/4+time.Duration(t.dice.Int64N(int64(lease))))
		f := t.processFault()
		m := t.members[t.dice.IntN(len(t.members))]
		long := time.Duration(t.dice.Int64N(2 * int64(lease)))
		running.Go(func() { t.inflict(f, m, long) })
	}
}

// processFault draws one of the faults that are not of a message.
func (t *Trial) processFault() Fault {
	var fs []Fault
	for _, f := range []Fault{Crash, Cut, Stop, Outage} {
		if t.plan.has(f) {
			fs = append(fs, f)
		}
	}
	if len(fs) == 0 {
		return ""
	}
	return fs[t.dice.IntN(len(fs))]
}

func (t *Trial) inflict(f Fault, m *member, d time.Duration) {
	l := m.current()
	switch {
	case f == Outage:
		t.count(Outage)
		restore := t.broker.Outage()
		defer restore()
		t.wait(t.ctx, min(d, maxOutage))
	case l == nil:
	case f == Crash:
		l.kill()
	case f == Cut:
		l.cut(d)
	case f == Stop:
		l.end()
	}
}

// maxOutage is below what the bus retries a publish for.
const maxOutage = 5 * time.Second

// trouble takes the next trouble that the plan has for a message.
func (t *Trial) trouble(m *ampybus.Message) Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	fs := t.troubles[m.Headers.MessageID]
	if len(fs) == 0 || t.quiet {
		return ""
	}
	t.troubles[m.Headers.MessageID] = fs[1:]
	return fs[0]
}

// refuses tells whether m is poison that Run refuses in the handler's place.
func (t *Trial) refuses(m *ampybus.Message) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.plan.Spoil == nil && t.poison[m.Headers.MessageID] && !t.mended
}

func (t *Trial) count(f Fault) {
	t.mu.Lock()
	t.counts[f]++
	t.mu.Unlock()
	t.History.Note(Event{Op: OpFault, Text: string(f)})
}

// cutTopic cuts env, domain and the rest out of a topic.
func cutTopic(topic string) (env, domain, rest string) {
	topic = strings.TrimPrefix(topic, "ampy.")
	env, topic, _ = strings.Cut(topic, ".")
	domain, rest, _ = strings.Cut(topic, ".")
	return env, domain, rest
}
