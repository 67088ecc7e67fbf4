package bridge

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

// consume runs a group for a while; it fails on the keys given.
func consume(t *testing.T, b *membinding.Broker, bad ...string) (handled []string) {
	t.Helper()
	bus := b.Connect(ampybus.Options{})
	defer bus.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := bus.Consume(ctx, ampybus.Consumer{Pattern: "ampy.dev.orders.v1.>", Group: "oms", Workers: 1}, func(_ context.Context, m *ampybus.Message) error {
		for _, key := range bad {
			if m.Headers.PartitionKey == key {
				return ampybus.Permanent(errors.New("bad"))
			}
		}
		handled = append(handled, string(m.Payload[3:]))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return handled
}

func letters(t *testing.T, b *membinding.Broker, visit func(*ampybus.Bus, *ampybus.DeadLetter)) {
	t.Helper()
	bus := b.Connect(ampybus.Options{})
	defer bus.Close()
	for d, err := range bus.AllDeadLetters(t.Context(), ampybus.Range{Pattern: "ampy.dev.dlq.v1.>"}) {
		if err != nil {
			t.Fatal(err)
		}
		visit(bus, d)
	}
}

// What was settled on the source is settled on the target, also by another
// bridge later, and what was not is not: though both brokers number alike.
func TestSettlementsFindTheirDeadLettersOnTheOtherSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := membinding.New(membinding.Config{}), membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, b.Transport(), order("own", 0)) // the target has a dead letter of its own at position 1
		consume(t, b, "own")
		publish(t, a.Transport(), order("settled", 0), order("open", 0))
		consume(t, a, "settled", "open")
		settle(t, a, "settled")
		once(t, a, b)
		expectSettled(t, b, map[string]string{"own": "", "settled": "discarded", "open": ""})
		settle(t, b, "open")
		expectSettled(t, b, map[string]string{"own": "", "settled": "discarded", "open": "discarded"})
		once(t, b, c)
		expectSettled(t, c, map[string]string{"own": "", "settled": "discarded", "open": "discarded"})
	})
}

func settle(t *testing.T, b *membinding.Broker, key string) {
	t.Helper()
	letters(t, b, func(bus *ampybus.Bus, d *ampybus.DeadLetter) {
		if d.Headers.PartitionKey == key {
			if err := bus.Discard(t.Context(), d, ampybus.SettleOptions{Reason: "test", Requester: "test"}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func expectSettled(t *testing.T, b *membinding.Broker, want map[string]string) {
	t.Helper()
	n := 0
	letters(t, b, func(_ *ampybus.Bus, d *ampybus.DeadLetter) {
		n++
		if d.Settled != want[d.Headers.PartitionKey] {
			t.Errorf("%s at %s: settled %q, want %q", d.Headers.PartitionKey, d.Origin(), d.Settled, want[d.Headers.PartitionKey])
		}
	})
	if n != len(want) {
		t.Errorf("%d dead letters, want %d", n, len(want))
	}
}

// A key that waits for an operator on the source does not wait on the target:
// its dead letter's place is one on the source.
func TestADeadLetterOfTheSourceParksNoKeyOnTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(), order("k", 0), order("k", 1))
		consume(t, a, "k")
		once(t, a, b)
		if got := consume(t, b); len(got) != 2 {
			t.Errorf("the target handled %q, want both", got)
		}
	})
}

// A dead letter that arose on the target, of a record that a bridge brought,
// parks its key there, and is carried back: the source has never had it.
func TestADeadLetterOfTheTargetIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := membinding.New(membinding.Config{}), membinding.New(membinding.Config{})
		publish(t, a.Transport(), order("k", 0))
		once(t, a, b)
		consume(t, b, "k")
		publish(t, b.Transport(), order("k", 1))
		if got := consume(t, b); len(got) != 0 {
			t.Errorf("%q ran behind its dead predecessor", got)
		}
		if s := once(t, b, a); s.Forwarded != 3 || s.Returned != 1 {
			t.Errorf("%+v", s)
		}
		if got := held(t, a.Transport(), "ampy.dev.dlq.v1.>"); len(got) != 2 {
			t.Errorf("%d dead letters came back, want 2", len(got))
		}
	})
}
