package ampybus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func orders(group string) ampybus.Consumer {
	return ampybus.Consumer{Pattern: "ampy.dev.orders.v1.>", Group: group}
}

func news(group string) ampybus.Consumer {
	return ampybus.Consumer{Pattern: "ampy.dev.news.v1.>", Group: group}
}

func TestEveryMessageIsHandledInKeyOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		for i := range 300 {
			w.publish(newsTopic, fmt.Sprintf("k%d", i%7), fmt.Sprint(i))
		}
		stop := w.consume(news("g"), func(_ context.Context, m *ampybus.Message) error {
			time.Sleep(time.Duration(len(m.Payload)) * time.Millisecond)
			got.add(m)
			return nil
		})
		settle(time.Minute)
		w.mustStop(stop)
		if got.count() != 300 {
			t.Fatalf("handled %d of 300", got.count())
		}
		for k := range 7 {
			var want []string
			for i := k; i < 300; i += 7 {
				want = append(want, fmt.Sprint(i))
			}
			if g := got.of(fmt.Sprintf("k%d", k)); g != fmt.Sprint(want) {
				t.Errorf("key k%d: got %s", k, g)
			}
		}
	})
}

func TestARetryHoldsBackOnlyItsOwnKey(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		fails := 2
		for _, p := range []string{"a1", "b1", "a2", "b2"} {
			w.publish(newsTopic, p[:1], p)
		}
		stop := w.consume(news("g"), func(_ context.Context, m *ampybus.Message) error {
			if string(m.Payload) == "a1" && fails > 0 {
				fails--
				return errHandler
			}
			got.add(m)
			return nil
		})
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("a") != "[a1 a2]" || got.of("b") != "[b1 b2]" {
			t.Errorf("effects %v", got.all)
		}
		if got.all[0] != "b1" || got.all[1] != "b2" {
			t.Errorf("the failing key held others back: %v", got.all)
		}
		if w.seen.result(ampybus.ResultRetry) != 2 {
			t.Errorf("retries %d, want 2", w.seen.result(ampybus.ResultRetry))
		}
	})
}

func TestASpentBudgetMakesADeadLetterWithTheBytesAsTheyWere(t *testing.T) {
	inWorld(t, func(w *world) {
		e := envelope(newsTopic, "k", "poison\x00\xff")
		e.Headers.Extra = append(e.Headers.Extra, extra("x-team", "desk 7"))
		w.send(e)
		runs := 0
		c := news("g")
		c.Retry = &ampybus.Retry{Attempts: 3, Elapsed: time.Minute, Base: time.Millisecond, Cap: time.Second}
		stop := w.consume(c, func(context.Context, *ampybus.Message) error { runs++; return errHandler })
		settle(time.Minute)
		w.mustStop(stop)
		dead := w.read("ampy.dev.dlq.v1.news")
		if runs != 3 || len(dead) != 1 {
			t.Fatalf("%d runs, %d dead letters; want 3 and 1", runs, len(dead))
		}
		d := dead[0]
		h := d.Headers
		if string(d.Record.Value) != "poison\x00\xff" || h.MessageID != e.Headers.MessageID || h.PartitionKey != "k" ||
			h.DLQ.Topic != newsTopic || h.DLQ.Group != "g" || h.DLQ.Attempts != 3 || h.DLQ.Reason != "handler: cannot apply" ||
			h.DLQ.Origin == "" || h.DLQ.At.IsZero() || h.PayloadHash != ampybus.PayloadHash(e.Payload) {
			t.Errorf("dead letter %+v", h)
		}
		if len(h.Extra) != 1 || h.Extra[0].Value != "desk 7" {
			t.Errorf("unknown headers are lost: %v", h.Extra)
		}
		if lag, err := w.bus.Lag(context.Background(), "g"); err != nil || lag.Pending != 0 {
			t.Errorf("lag %+v, %v: the original is not finished", lag, err)
		}
	})
}

func TestPoisonIsNotTriedAgain(t *testing.T) {
	for name, err := range map[string]error{
		"permanent": ampybus.Permanent(errHandler),
		"poison":    &ampybus.PoisonError{Code: "decode:proto", Err: errHandler},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.publish(newsTopic, "k", "x")
				runs := 0
				stop := w.consume(news("g"), func(context.Context, *ampybus.Message) error { runs++; return err })
				settle(time.Minute)
				w.mustStop(stop)
				if n := len(w.read("ampy.dev.dlq.v1.news")); runs != 1 || n != 1 {
					t.Errorf("%d runs, %d dead letters", runs, n)
				}
			})
		})
	}
}

func TestAPanicIsAFailureOfItsMessageOnly(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		w.publish(newsTopic, "a", "bad")
		w.publish(newsTopic, "b", "good")
		stop := w.consume(news("g"), func(_ context.Context, m *ampybus.Message) error {
			if string(m.Payload) == "bad" {
				panic("boom")
			}
			got.add(m)
			return nil
		})
		settle(time.Hour)
		w.mustStop(stop)
		dead := w.read("ampy.dev.dlq.v1.news")
		if got.of("b") != "[good]" || len(dead) != 1 || !strings.HasPrefix(dead[0].Headers.DLQ.Reason, "panic: handler panicked: boom") {
			t.Errorf("effects %v, dead %v", got.all, dead)
		}
	})
}

func TestUnreadableRecordsAreDeadLetters(t *testing.T) {
	inWorld(t, func(w *world) {
		e := envelope(newsTopic, "k", "x")
		hs := ampybus.EncodeHeaders(e.Headers)
		for i := range hs {
			if hs[i].Name == ampybus.HeaderMessageID {
				hs[i].Value = "not-a-uuid"
			}
		}
		w.raw(newsTopic, "k", hs, "x")
		w.raw(newsTopic, "k", nil, "no headers")
		ran := 0
		stop := w.consume(news("g"), func(context.Context, *ampybus.Message) error { ran++; return nil })
		settle(time.Minute)
		w.mustStop(stop)
		var reasons []string
		for _, d := range w.read("ampy.dev.dlq.v1.news") {
			reasons = append(reasons, ampybus.ReasonCode(d.Headers.DLQ.Reason))
		}
		if ran != 0 || fmt.Sprint(reasons) != "[envelope:message_id envelope]" {
			t.Errorf("handler ran %d times, reasons %v", ran, reasons)
		}
	})
}

func TestARepeatIsANoOpAndAConflictIsNot(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		e := envelope(ordersTopic, "co1", "buy 1")
		e.Headers.DedupeKey = "co1"
		w.send(e)
		w.again(e, "buy 1")   // same id, same bytes
		w.again(e, "buy 100") // same id, other bytes
		same := envelope(ordersTopic, "co1", "buy 1")
		same.Headers.DedupeKey = "co1"
		w.send(same)
		other := envelope(ordersTopic, "co1", "buy 2")
		other.Headers.DedupeKey = "co1"
		w.send(other)
		c := orders("g")
		c.OnDead = ampybus.Skip
		stop := w.consume(c, func(_ context.Context, m *ampybus.Message) error { got.add(m); return nil })
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("co1") != "[buy 1]" || w.seen.result(ampybus.ResultDuplicate) != 2 {
			t.Errorf("effects %v, duplicates %d", got.all, w.seen.result(ampybus.ResultDuplicate))
		}
		var codes []string
		for _, d := range w.read(ordersDLQ) {
			codes = append(codes, ampybus.ReasonCode(d.Headers.DLQ.Reason))
		}
		if fmt.Sprint(codes) != "[id_conflict dedupe_conflict]" {
			t.Errorf("dead letters %v", codes)
		}
	})
}

func TestAMessageIsMarkedOnlyAfterItsEffect(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		w.publish(newsTopic, "k", "x")
		tried := false
		stop := w.consume(news("g"), func(_ context.Context, m *ampybus.Message) error {
			if !tried {
				tried = true
				return errHandler
			}
			got.add(m)
			return nil
		})
		settle(time.Minute)
		w.mustStop(stop)
		if got.count() != 1 {
			t.Errorf("%d effects: the failed attempt counted as applied", got.count())
		}
	})
}

func TestShutdownIsNoFailure(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		for i := range 50 {
			w.publish(newsTopic, fmt.Sprint("k", i), fmt.Sprint(i))
		}
		started := make(chan struct{}, 100)
		closing := make(chan struct{})
		c := news("g")
		c.Workers = 8
		c.Retry = &ampybus.Retry{Attempts: 1}
		stop := w.consume(c, func(_ context.Context, m *ampybus.Message) error {
			started <- struct{}{}
			<-closing
			if len(m.Payload) == 1 {
				return errHandler // as a handler whose database is closed first
			}
			got.add(m)
			return nil
		})
		for range 8 {
			<-started
		}
		done := make(chan error)
		go func() { done <- stop() }()
		settle(time.Millisecond)
		close(closing)
		if err := <-done; err != nil {
			t.Errorf("Consume: %v", err)
		}
		if dead := w.read("ampy.dev.dlq.v1.>"); len(dead) != 0 {
			t.Errorf("%d healthy messages became dead letters", len(dead))
		}
		again := w.consume(c, func(_ context.Context, m *ampybus.Message) error { got.add(m); return nil })
		settle(time.Minute)
		w.mustStop(again)
		seen := make(map[string]bool)
		for _, p := range got.all {
			seen[p] = true
		}
		if len(seen) != 50 {
			t.Errorf("%d of 50 applied after the restart", len(seen))
		}
	})
}

func TestAStuckHandlerDoesNotHoldShutdownForever(t *testing.T) {
	inWorld(t, func(w *world) {
		w.publish(newsTopic, "k", "x")
		started := make(chan struct{})
		stop := w.consume(news("g"), func(ctx context.Context, _ *ampybus.Message) error {
			close(started)
			<-ctx.Done()
			return ctx.Err()
		})
		<-started
		begun := time.Now()
		w.mustStop(stop)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("shutdown took %v", took)
		}
		if dead := w.read("ampy.dev.dlq.v1.>"); len(dead) != 0 {
			t.Errorf("shutdown made %d dead letters", len(dead))
		}
	})
}

func TestARestartGoesOnBehindWhatIsFinished(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		handle := func(_ context.Context, m *ampybus.Message) error { got.add(m); return nil }
		for i := range 10 {
			w.publish(newsTopic, "k", fmt.Sprint(i))
		}
		c := news("g")
		c.Dedupe = ampybus.NoDedupe{}
		stop := w.consume(c, handle)
		settle(time.Minute)
		w.mustStop(stop)
		w.publish(newsTopic, "k", "10")
		stop = w.consume(c, handle)
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("k") != "[0 1 2 3 4 5 6 7 8 9 10]" {
			t.Errorf("effects %s", got.of("k"))
		}
	})
}

func TestAnOutageMakesNoDeadLetters(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		var mu sync.Mutex
		down := true
		attempts := 0
		stop := w.consume(orders("g"), func(_ context.Context, m *ampybus.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if down {
				attempts++
				return errHandler
			}
			if string(m.Payload) == "bad" {
				return errHandler
			}
			got.add(m)
			return nil
		})
		const n = 3000
		for i := range n {
			p := fmt.Sprint(i)
			if i == n/2 {
				p = "bad"
			}
			w.publish(ordersTopic, fmt.Sprint("co", i%200), p)
			time.Sleep(20 * time.Millisecond)
		}
		if dead := w.read(ordersDLQ); len(dead) != 0 {
			t.Fatalf("%d dead letters in an outage of a minute", len(dead))
		}
		mu.Lock()
		if attempts > 500 {
			t.Errorf("%d attempts against a dead dependency: not paused", attempts)
		}
		down = false
		mu.Unlock()
		settle(time.Minute)
		w.mustStop(stop)
		dead := w.read(ordersDLQ)
		if len(dead) == 0 || string(dead[0].Payload) != "bad" {
			t.Fatalf("dead letters %v: want the bad message first", len(dead))
		}
		for _, d := range dead[1:] {
			if !strings.HasPrefix(d.Headers.DLQ.Reason, ampybus.ReasonPredecessorDead) {
				t.Errorf("healthy message %s became a dead letter: %s", d.Payload, d.Headers.DLQ.Reason)
			}
		}
		if got.count()+len(dead) != n {
			t.Errorf("%d applied and %d dead of %d", got.count(), len(dead), n)
		}
		if w.seen.noticed(ampybus.NoticePaused) != 1 || w.seen.noticed(ampybus.NoticeResumed) != 1 {
			t.Errorf("paused %d times, resumed %d times", w.seen.noticed(ampybus.NoticePaused), w.seen.noticed(ampybus.NoticeResumed))
		}
	})
}

func TestASuccessorDoesNotOvertakeAParkedKey(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		var mu sync.Mutex
		broken := true
		handle := func(_ context.Context, m *ampybus.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if broken && string(m.Payload) == "1" {
				return ampybus.Permanent(errHandler)
			}
			got.add(m)
			return nil
		}
		first := w.publish(ordersTopic, "a", "1")
		w.publish(ordersTopic, "a", "2")
		w.publish(ordersTopic, "b", "1b")
		stop := w.consume(orders("g"), handle)
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("a") != "[]" || got.of("b") != "[1b]" {
			t.Fatalf("effects %v", got.all)
		}
		dead := w.read(ordersDLQ)
		if len(dead) != 2 || dead[1].Headers.DLQ.Reason != "predecessor_dead:"+first.Headers.MessageID {
			t.Fatalf("dead letters %d", len(dead))
		}

		stop = w.consume(orders("g"), handle) // a restart finds the key parked
		w.publish(ordersTopic, "a", "3")
		settle(time.Minute)
		if got.of("a") != "[]" || len(w.read(ordersDLQ)) != 3 {
			t.Fatalf("after a restart: effects %v, %d dead letters", got.all, len(w.read(ordersDLQ)))
		}

		mu.Lock()
		broken = false
		mu.Unlock()
		for d, err := range w.bus.DeadLetters(context.Background(), ampybus.Range{Pattern: ordersDLQ}) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.bus.Redrive(context.Background(), d, ampybus.RedriveOptions{Reason: "fixed", Requester: "test"}); err != nil {
				t.Fatal(err)
			}
			if string(d.Payload) == "1" {
				w.publish(ordersTopic, "a", "4") // between the redriven ones
				settle(time.Second)
			}
		}
		settle(time.Minute)
		for d, err := range w.bus.DeadLetters(context.Background(), ampybus.Range{Pattern: ordersDLQ}) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.bus.Redrive(context.Background(), d, ampybus.RedriveOptions{Reason: "fixed", Requester: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		settle(time.Minute)
		w.publish(ordersTopic, "a", "5")
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("a") != "[1 2 3 4 5]" {
			t.Errorf("effects %s, want 1 to 5 in order", got.of("a"))
		}
		if w.seen.noticed(ampybus.NoticeReleased) != 1 {
			t.Errorf("released %d times", w.seen.noticed(ampybus.NoticeReleased))
		}
	})
}

func TestDiscardingTheDeadLetterReleasesItsKey(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		stop := w.consume(orders("g"), func(_ context.Context, m *ampybus.Message) error {
			if string(m.Payload) == "1" {
				return ampybus.Permanent(errHandler)
			}
			got.add(m)
			return nil
		})
		w.publish(ordersTopic, "a", "1")
		settle(time.Minute)
		for d, err := range w.bus.DeadLetters(context.Background(), ampybus.Range{Pattern: ordersDLQ}) {
			if err != nil {
				t.Fatal(err)
			}
			if err := w.bus.Discard(context.Background(), d, ampybus.SettleOptions{Reason: "never mind", Requester: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		settle(time.Minute)
		w.publish(ordersTopic, "a", "2")
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("a") != "[2]" {
			t.Errorf("effects %s", got.of("a"))
		}
	})
}

func TestAConsumerOfDeadLettersHaltsInsteadOfNesting(t *testing.T) {
	inWorld(t, func(w *world) {
		w.publish(newsTopic, "k", "x")
		stop := w.consume(news("g"), func(context.Context, *ampybus.Message) error { return ampybus.Permanent(errHandler) })
		settle(time.Minute)
		w.mustStop(stop)
		err := w.bus.Consume(context.Background(), ampybus.Consumer{Pattern: "ampy.dev.dlq.v1.>", Group: "dlq"},
			func(context.Context, *ampybus.Message) error { return ampybus.Permanent(errHandler) })
		if err == nil || !strings.Contains(err.Error(), "not nested") {
			t.Errorf("Consume: %v", err)
		}
		if n := len(w.read("ampy.dev.dlq.v1.>")); n != 1 {
			t.Errorf("%d dead letters", n)
		}
	})
}

func TestConsumerFaultsNameTheirField(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, group := range []string{"", "a.b", "*", "x y", "a/b", strings.Repeat("g", 300)} {
			err := w.bus.Consume(context.Background(), orders(group), nil)
			var fe *ampybus.FieldError
			if !errors.As(err, &fe) || fe.Field != "group" {
				t.Errorf("group %q: %v", group, err)
			}
		}
	})
}

func TestShutdownRepeatsNothingThatIsFinished(t *testing.T) {
	inWorld(t, func(w *world) {
		const n = 400
		for i := range n {
			w.publish(newsTopic, fmt.Sprint("k", (i*i)%23), fmt.Sprint(i))
		}
		var got effects
		c := news("g")
		c.Workers, c.Dedupe = 8, ampybus.NoDedupe{}
		handle := func(_ context.Context, m *ampybus.Message) error {
			time.Sleep(time.Duration(1+len(m.Payload)*3) * time.Millisecond)
			got.add(m)
			return nil
		}
		rounds := 0
		for ; got.count() < n && rounds < 100; rounds++ {
			stop := w.consume(c, handle)
			settle(40 * time.Millisecond)
			w.mustStop(stop)
		}
		if got.count() != n || rounds < 5 {
			t.Errorf("%d messages took effect %d times in %d rounds", n, got.count(), rounds)
		}
	})
}

func TestAConsumerThatStartsInAnOutageWaitsForItsEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.publish(newsTopic, "k", "1")
		restore := w.broker.Outage()
		var got effects
		stop := w.consume(news("g"), func(_ context.Context, m *ampybus.Message) error { got.add(m); return nil })
		settle(time.Minute)
		restore()
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("k") != "[1]" {
			t.Errorf("effects %s", got.of("k"))
		}
	})
}
