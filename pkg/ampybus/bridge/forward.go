package bridge

import (
	"errors"
	"fmt"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// RefusedError is a record that the target does not take, and that the bridge
// stands in front of.
type RefusedError struct{ Refusal }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("carry %s (%s): %v", e.Topic, e.Origin, e.Err)
}
func (e *RefusedError) Unwrap() error { return e.Err }

// verdict is what is to become of a record before the target is asked.
type verdict int

const (
	send verdict = iota
	excluded
	returned
	refused
)

// judge looks at a record alone.
func (b *Bridge) judge(d *driver.Delivery, m *marks) (verdict, error) {
	switch {
	case b.pick.excludes(d.Topic):
		return excluded, nil
	case m.been(b.ends.to) && !mutant.On("bridge-sends-back"):
		return returned, nil
	case len(ampybus.Hops(m.path)) >= maxHops:
		return refused, fmt.Errorf("it came by %d bridges", maxHops)
	}
	if _, err := ampybus.ParseTopic(d.Topic); err != nil {
		return refused, err
	}
	return send, nil
}

// records takes what the source delivered, in its order. One goroutine does so.
func (b *Bridge) records(ev driver.Event) {
	for i := range ev.Records {
		if !b.record(ev, &ev.Records[i]) {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lanes[ev.Lane]; l != nil && b.full() && !l.paused {
		l.paused = true
		b.src.Pause(l.name, true)
	}
}

func (b *Bridge) full() bool { return b.stats.InFlight >= maxItems || b.bytes >= maxBytes }

// record reports whether the next one may be taken.
func (b *Bridge) record(ev driver.Event, d *driver.Delivery) bool {
	m := marksOf(d)
	v, why := b.judge(d, &m)

	b.mu.Lock()
	l := b.lanes[ev.Lane]
	if l == nil || l.epoch != ev.Epoch || l.stopped || b.fault != nil || b.enough() {
		b.mu.Unlock()
		return false
	}
	s, fresh := l.take(d.Pos)
	if !fresh {
		b.mu.Unlock()
		return true
	}
	switch v {
	case excluded:
		b.stats.Excluded++
		l.finish(s)
	case returned:
		b.stats.Returned++
		l.finish(s)
	case send:
		b.taken++
		b.stats.InFlight++
		b.bytes += len(d.Value)
	}
	b.mu.Unlock()
	switch v {
	case refused:
		return b.refuse(s, d, why)
	case send:
		b.to.ForwardRecord(b.ends.carried(d, &m), !b.c.PassRefused, func(o driver.Outcome, err error) { b.settled(s, d, o, err) })
	}
	return true
}

// enough reports that Max is reached. The lock is held.
func (b *Bridge) enough() bool { return b.c.Max > 0 && b.taken >= b.c.Max }

// settled takes the target's word on a record.
func (b *Bridge) settled(s *slot, d *driver.Delivery, o driver.Outcome, err error) {
	b.mu.Lock()
	b.stats.InFlight--
	b.bytes -= len(d.Value)
	switch {
	case err == nil && o.Duplicate:
		b.stats.Repeated++
	case err == nil:
		b.stats.Forwarded++
		b.stats.Bytes += uint64(len(d.Value))
	}
	if err == nil {
		s.lane.finish(s)
	}
	b.resume()
	done := b.enough() && b.stats.InFlight == 0
	b.cond.Broadcast()
	b.mu.Unlock()
	if err != nil && !unsettled(err) {
		b.refuse(s, d, err)
	}
	if done {
		b.finish()
	}
}

// unsettled reports an end without the target's word: the bridge is ending, or
// stops in front of another record of the key.
func unsettled(err error) bool {
	return errors.Is(err, driver.ErrUncertain) || errors.Is(err, driver.ErrUnavailable) || errors.Is(err, driver.ErrFull) ||
		errors.Is(err, driver.ErrClosed) || errors.Is(err, ampybus.ErrBehindRefused)
}

// refuse stops the bridge in front of a record, or passes it. It reports
// whether the bridge goes on.
func (b *Bridge) refuse(s *slot, d *driver.Delivery, err error) bool {
	r := Refusal{Topic: d.Topic, Origin: d.Origin(), MessageID: messageID(d), Err: err}
	pass := b.c.PassRefused && !hopeless(err)
	b.mu.Lock()
	b.stats.Refused++
	if pass {
		s.lane.finish(s)
	}
	b.mu.Unlock()
	if b.c.OnRefused != nil {
		b.c.OnRefused(r)
	}
	if !pass {
		b.fail(&RefusedError{r})
	}
	return pass
}

// hopeless is a refusal that is no fault of the record: the next would meet it
// as well.
func hopeless(err error) bool {
	return errors.Is(err, driver.ErrPermission) || errors.Is(err, driver.ErrAuth) || errors.Is(err, driver.ErrNoLog) || errors.Is(err, driver.ErrConfig)
}

// resume lets paused lanes go on at half of what is allowed. The lock is held.
func (b *Bridge) resume() {
	if b.stats.InFlight > maxItems/2 || b.bytes > maxBytes/2 {
		return
	}
	for _, l := range b.lanes {
		if l.paused {
			l.paused = false
			b.src.Pause(l.name, false)
		}
	}
}
