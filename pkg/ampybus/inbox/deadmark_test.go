package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// consumeWith runs a member that skips what is dead, with an effect of its
// own, until stop or crash.
func (v *venue) consumeWith(commitEvery time.Duration, e func(context.Context, *sql.Tx, *ampybus.Message) error) (stop, crash func()) {
	in, t := v.inbox(v.db), v.broker.Transport()
	bus := ampybus.New(t, ampybus.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- bus.Consume(ctx, ampybus.Consumer{
			Pattern: fillsPattern, Group: group, OnDead: ampybus.Skip, Dedupe: in, CommitEvery: commitEvery,
		}, in.Handler(e))
	}()
	stop = func() { cancel(); v.must(<-done); v.must(bus.Close()) }
	crash = func() {
		t.Crash()
		cancel()
		v.t.Logf("the crashed member ended with: %v", <-done)
		_ = bus.Close()
	}
	return stop, crash
}

func (v *venue) deadLetters() (n int) {
	v.t.Helper()
	for _, err := range v.bus.Read(context.Background(), ampybus.Range{Pattern: "ampy.dev.dlq.v1.fills"}) {
		v.must(err)
		n++
	}
	return n
}

// The process dies before the broker knows that a dead letter, and what came
// behind it, are finished. The next one would be able to apply it.
func TestADeadLetterThatComesAgainIsNotAppliedBehindItsSuccessors(t *testing.T) {
	inVenue(t, func(v *venue) {
		for n := range 3 {
			v.publish("A", fmt.Sprint(n))
		}
		_, crash := v.consumeWith(time.Hour, func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
			if string(m.Payload) == "0" {
				return ampybus.Permanent(errors.New("bad"))
			}
			return insert(ctx, tx, m)
		})
		settle(time.Second)
		crash()
		stop, _ := v.consumeWith(time.Second, insert)
		settle(time.Minute)
		stop()
		v.wantEffects("A=1 A=2")
		if n := v.deadLetters(); n != 1 {
			t.Errorf("%d dead letters, want 1", n)
		}
	})
}

// The store knows a newer owner of the lane before the broker's word reaches
// this one: that is no fault of the messages.
func TestAFencedMemberMakesNoDeadLetters(t *testing.T) {
	inVenue(t, func(v *venue) {
		v.must(apply(v.in, at(99, with(message("Z", "9"), func(m *ampybus.Message) { m.Lane = "ampy.dev.fills" }))))
		v.publish("A", "0")
		stop, _ := v.consumeWith(time.Second, insert)
		settle(10 * time.Minute)
		if n := v.deadLetters(); n != 0 {
			t.Errorf("%d dead letters, want none", n)
		}
		v.must(v.in.Forget(context.Background(), "ampy.dev.fills"))
		settle(time.Minute)
		stop()
		v.wantEffects("A=0 Z=9")
	})
}
