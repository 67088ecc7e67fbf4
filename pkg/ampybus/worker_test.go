package ampybus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// quick publishes n messages of different keys, so that quick handlers make
// workers take several at once.
func (w *world) quick(n int) {
	for i := range n {
		w.publish(newsTopic, fmt.Sprint("k", i), fmt.Sprint("quick ", i))
	}
}

func TestAHandlerThatHangsHoldsBackOnlyItsOwnKey(t *testing.T) {
	for _, at := range []int{300, 500, 900} { // by then workers hold several messages
		inWorld(t, func(w *world) {
			var got effects
			hang := make(chan struct{})
			w.quick(1000)
			stop := w.consume(ampybus.Consumer{Pattern: "ampy.dev.news.v1.>", Group: "g", Workers: 2}, func(_ context.Context, m *ampybus.Message) error {
				if string(m.Payload) == fmt.Sprint("quick ", at) {
					<-hang
				}
				got.add(m)
				return nil
			})
			settle(10 * time.Millisecond)
			if n := got.count(); n != 999 {
				t.Errorf("%d messages handled beside the one that hangs, want 999", n)
			}
			close(hang)
			settle(time.Second)
			w.mustStop(stop)
			if n := got.count(); n != 1000 {
				t.Errorf("%d messages handled, want 1000", n)
			}
		})
	}
}

func TestInAnOutageNothingMoreBeginsOfWhatWorkersHold(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		var down atomic.Bool
		fell, tried := false, 0
		w.quick(1000)
		stop := w.consume(ampybus.Consumer{Pattern: "ampy.dev.news.v1.>", Group: "g", Workers: 1}, func(_ context.Context, m *ampybus.Message) error {
			if string(m.Payload) == "quick 500" && !fell {
				fell = true
				down.Store(true)
			}
			if down.Load() {
				tried++
				return ampybus.Outage(errors.New("database away"))
			}
			got.add(m)
			return nil
		})
		settle(time.Microsecond) // less than the first pause
		if tried != 1 {
			t.Errorf("%d attempts while the consumer is paused, want the one that paused it", tried)
		}
		down.Store(false)
		settle(time.Minute)
		w.mustStop(stop)
		if n := got.count(); n != 1000 {
			t.Errorf("%d messages handled, want 1000", n)
		}
	})
}

func TestAMessageThatAHandlerKeptDoesNotChangeWithTheNextAttempt(t *testing.T) {
	inWorld(t, func(w *world) {
		var kept []*ampybus.Message
		w.publish(newsTopic, "a", "x")
		stop := w.consume(news("g"), func(_ context.Context, m *ampybus.Message) error {
			if kept = append(kept, m); len(kept) < 3 {
				return errHandler
			}
			return nil
		})
		settle(time.Minute)
		w.mustStop(stop)
		var attempts []int
		for _, m := range kept {
			attempts = append(attempts, m.Attempt)
		}
		if !slices.Equal(attempts, []int{1, 2, 3}) {
			t.Errorf("attempts of the kept messages %v, want [1 2 3]", attempts)
		}
	})
}
