package ampybus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func ordersShared(group string, shares int) ampybus.Consumer {
	c := orders(group)
	c.Shares = shares
	return c
}

func TestMembersWithSharesApplyEachKeyInOrderOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		const keys, each = 20, 25
		var got effects
		var busy [3]atomic.Int64
		var stops []func() error
		for i := range busy {
			stops = append(stops, w.consume(ordersShared("g", 4), func(_ context.Context, m *ampybus.Message) error {
				time.Sleep(time.Millisecond)
				busy[i].Add(1)
				got.add(m)
				return nil
			}))
			settle(time.Second)
		}
		for n := range each {
			for k := range keys {
				w.publish(ordersTopic, fmt.Sprint("k", k), fmt.Sprint(n))
			}
		}
		settle(time.Minute)
		var want []string
		for n := range each {
			want = append(want, fmt.Sprint(n))
		}
		for k := range keys {
			if key := fmt.Sprint("k", k); got.of(key) != fmt.Sprint(want) {
				t.Errorf("key %s has effects %s, want %v", key, got.of(key), want)
			}
		}
		for i := range busy {
			if busy[i].Load() == 0 {
				t.Errorf("member %d did nothing", i)
			}
		}
		for _, stop := range stops {
			w.mustStop(stop)
		}
	})
}

// The limits are common to all lanes: one that has nothing left of its own must
// go on when another makes room.
func TestLanesThatWaitForEachOthersRoomGoOn(t *testing.T) {
	for _, limit := range []int{1, 2, 5, 40} {
		inWorld(t, func(w *world) {
			const keys, each = 40, 200 // several events for each lane
			for n := range each {
				for k := range keys {
					w.publish(ordersTopic, fmt.Sprint("k", k), fmt.Sprint(n))
				}
			}
			var got effects
			c := ordersShared("g", 8)
			c.MaxItems, c.Workers = limit, 3
			stop := w.consume(c, func(_ context.Context, m *ampybus.Message) error {
				time.Sleep(time.Millisecond)
				got.add(m)
				return nil
			})
			settle(time.Hour)
			w.mustStop(stop)
			if got.count() != keys*each {
				t.Errorf("with room for %d messages %d of %d were handled", limit, got.count(), keys*each)
			}
		})
	}
}

func TestAnotherNumberOfSharesIsAnError(t *testing.T) {
	inWorld(t, func(w *world) {
		nothing := func(context.Context, *ampybus.Message) error { return nil }
		w.publish(ordersTopic, "a", "1")
		stop := w.consume(ordersShared("g", 4), nothing)
		settle(time.Second)
		if err := w.bus.Consume(context.Background(), ordersShared("g", 2), nothing); !errors.Is(err, driver.ErrConfig) {
			t.Errorf("another number of shares: %v, want %v", err, driver.ErrConfig)
		}
		if err := ordersShared("g", driver.MaxShares+1).Validate(); err == nil {
			t.Error("too many shares are valid")
		}
		w.mustStop(stop)
	})
}

// The shares of a log are at different positions: another one's says nothing of
// whether a redriven copy was applied.
func TestAKeyIsParkedInItsOwnShareOnly(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		var second atomic.Bool
		handle := func(ctx context.Context, m *ampybus.Message) error {
			switch {
			case !second.Load() && m.Headers.PartitionKey == "s":
				<-ctx.Done()
				return ctx.Err()
			case m.Headers.RetryCount == 0 && string(m.Payload) == "1":
				return ampybus.Permanent(errHandler)
			}
			got.add(m)
			return nil
		}
		if driver.ShareOf("a", 4) == driver.ShareOf("s", 4) {
			t.Fatal("the keys must be of different shares")
		}
		w.publish(ordersTopic, "s", "0")
		w.publish(ordersTopic, "a", "1")
		stop := w.consume(ordersShared("g", 4), handle)
		settle(time.Minute)
		w.redriveAll()
		_ = stop() // the slow handler is given up
		second.Store(true)
		stop = w.consume(ordersShared("g", 4), handle)
		settle(time.Minute)
		w.publish(ordersTopic, "a", "2")
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("a") != "[1 2]" || got.of("s") != "[0]" {
			t.Errorf("effects %v", got.all)
		}
	})
}

// A lane that comes back finds what became of its parked keys meanwhile.
func TestParkedKeysFollowTheirShares(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		var mu sync.Mutex
		broken := true
		handle := func(_ context.Context, m *ampybus.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if broken && string(m.Payload) == "1" && m.Headers.PartitionKey == "a" {
				return ampybus.Permanent(errHandler)
			}
			got.add(m)
			return nil
		}
		for _, k := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			w.publish(ordersTopic, k, "1")
		}
		first := w.consume(ordersShared("g", 4), handle)
		settle(time.Minute)
		second := w.consume(ordersShared("g", 4), handle) // takes two shares over
		settle(time.Minute)
		w.publish(ordersTopic, "a", "2")
		settle(time.Minute)
		if got.of("a") != "[]" || len(w.read(ordersDLQ)) != 2 {
			t.Fatalf("effects of the parked key %s, %d dead letters", got.of("a"), len(w.read(ordersDLQ)))
		}
		mu.Lock()
		broken = false
		mu.Unlock()
		w.redriveAll()
		w.redriveAll()
		settle(time.Minute)
		for range 2 { // every lane changes hands once more
			w.mustStop(first)
			settle(time.Minute)
			first, second = second, w.consume(ordersShared("g", 4), handle)
			settle(time.Minute)
			w.publish(ordersTopic, "a", "more")
			settle(time.Minute)
		}
		w.mustStop(first)
		w.mustStop(second)
		if got.of("a") != "[1 2 more more]" {
			t.Errorf("effects of the redriven key %s", got.of("a"))
		}
		if n := len(w.read(ordersDLQ)); n != 2 {
			t.Errorf("%d dead letters, want 2", n)
		}
	})
}

func (w *world) redriveAll() {
	w.t.Helper()
	for d, err := range w.bus.DeadLetters(context.Background(), ampybus.Range{Pattern: ordersDLQ}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.bus.Redrive(context.Background(), d, ampybus.RedriveOptions{Reason: "fixed", Requester: "test"}); err != nil {
			w.t.Fatal(err)
		}
	}
	settle(time.Minute)
}
