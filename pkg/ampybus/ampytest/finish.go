package ampytest

import (
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// calm ends all faults; members that are down come back.
func (t *Trial) calm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.quiet = true
}

// finish lets all be handled, and sends dead letters back until none is left.
func (t *Trial) finish(bus *ampybus.Bus) {
	if !t.drained(bus) {
		return
	}
	t.mu.Lock()
	t.mended = true
	t.mu.Unlock()
	for range maxRounds {
		if t.redrive(bus) == 0 {
			return
		}
		if !t.drained(bus) {
			return
		}
	}
	t.t.Errorf("after %d redrives there still are dead letters", maxRounds)
}

const (
	// maxRounds is above what a chain of dead letters of one key needs.
	maxRounds = 20
	// patience is virtual: it only tells "slow" from "never".
	patience = time.Hour
)

// drained waits until the group has finished everything.
func (t *Trial) drained(bus *ampybus.Bus) bool {
	for deadline := time.Now().Add(patience); ; {
		lag, err := bus.Lag(t.ctx, t.Consumer.Group)
		if err == nil && lag.Pending == 0 && len(lag.Lanes) > 0 {
			return true
		}
		if time.Now().After(deadline) {
			t.t.Errorf("the group does not finish: %d pending after %v (%v)", lag.Pending, patience, err)
			return false
		}
		t.wait(t.ctx, time.Second)
	}
}

// redrive sends every open dead letter of the group back, in order, and
// returns how many there were.
func (t *Trial) redrive(bus *ampybus.Bus) int {
	open := t.open(bus)
	for _, d := range open {
		if err := t.sendBack(bus, d); err != nil {
			t.t.Errorf("redrive: %v", err)
		}
	}
	return len(open)
}

// open lists the group's dead letters that are not settled, oldest first.
func (t *Trial) open(bus *ampybus.Bus) (open []*ampybus.DeadLetter) {
	env, _, _ := cutTopic(t.published[0].Topic)
	for d, err := range bus.DeadLetters(t.ctx, ampybus.Range{Pattern: "ampy." + env + ".dlq.v1.>"}) {
		if err != nil {
			t.t.Errorf("read dead letters: %v", err)
			return nil
		}
		if d.Headers.DLQ.Group == t.Consumer.Group {
			open = append(open, d)
		}
	}
	return open
}

// sendBack redrives d, mended.
func (t *Trial) sendBack(bus *ampybus.Bus, d *ampybus.DeadLetter) error {
	id := d.Headers.MessageID
	o := ampybus.RedriveOptions{Reason: "mended", Requester: requester}
	t.mu.Lock()
	if t.plan.Spoil != nil && t.poison[id] {
		o.Payload = t.published[t.ids[id]].Payload
	}
	t.mu.Unlock()
	_, err := bus.Redrive(t.ctx, d, o)
	return err
}

const requester = "ampytest@1"
