package membinding

import (
	"fmt"
	"slices"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// refusal is a fault that Refuse has put on.
type refusal struct {
	pattern pattern
	err     error
}

// Outage takes the broker away from all clients until restore is called: what
// they publish settles as not stored, and leases run.
func (b *Broker) Outage() (restore func()) {
	return b.fault(func(n int) { b.outages += n })
}

// Refuse makes the broker refuse records of a pattern with err until restore is
// called: driver.ErrFull for a log without room, driver.ErrUnavailable for one
// without a leader, driver.ErrPermission. Nothing of them is stored.
func (b *Broker) Refuse(pattern string, err error) (restore func()) {
	p, perr := parsePattern(pattern)
	if perr != nil {
		err = perr // every record shows what is wrong
	}
	r := &refusal{p, err}
	return b.fault(func(n int) {
		if n > 0 {
			b.refusals = append(b.refusals, r)
			return
		}
		b.refusals = slices.DeleteFunc(b.refusals, func(x *refusal) bool { return x == r })
	})
}

// refused is the error of a refusal that is on for a topic. The lock is held.
func (b *Broker) refused(topic string) error {
	for _, r := range b.refusals {
		if r.pattern.matches(topic) || r.pattern.text == "" {
			return r.err
		}
	}
	return nil
}

// Truncate drops the records of a log below a position, as retention does.
func (b *Broker) Truncate(log string, below uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.logs[log]
	if l == nil {
		return fmt.Errorf("truncate %s: %w", log, driver.ErrNoLog)
	}
	l.truncate(below)
	b.stored(l) // those who wait behind the end now see a gap
	for _, g := range b.groups {
		for _, ln := range g.on(log) {
			if ln.owner != nil {
				ln.owner.revise()
			}
		}
	}
	return nil
}

// Cut severs the client from the broker until heal is called. Its lanes go to
// others when their lease ends.
func (t *Transport) Cut() (heal func()) {
	return t.b.fault(func(n int) { t.cuts += n })
}

// LoseAcks makes the broker store what the client publishes and lose the
// answer: records settle with driver.ErrUncertain, after Config.AckTimeout.
func (t *Transport) LoseAcks() (restore func()) {
	return t.b.fault(func(n int) { t.deaf += n })
}

// Crash ends the client as kill -9 ends a process: its lanes stay its own until
// their lease ends. What it has not settled settles with driver.ErrUncertain.
func (t *Transport) Crash() {
	t.end(fmt.Errorf("memory transport crashed: %w", driver.ErrClosed), true)
}

// fault counts a fault up, and once down. Faults of one kind add up.
func (b *Broker) fault(count func(n int)) (restore func()) {
	change := func(n int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		count(n)
		for _, t := range b.clients {
			b.refresh(t)
		}
	}
	change(1)
	var once sync.Once
	return func() { once.Do(func() { change(-1) }) }
}

// refresh follows a change of what connects a client. The lock is held.
func (b *Broker) refresh(t *Transport) {
	connected := b.outages == 0 && t.cuts == 0 && !t.crashed
	if connected == t.connected {
		return
	}
	t.connected = connected
	close(t.changed)
	t.changed = make(chan struct{})
	for _, s := range t.sources {
		if connected {
			s.reconnected()
		} else {
			s.disconnected()
		}
	}
}
