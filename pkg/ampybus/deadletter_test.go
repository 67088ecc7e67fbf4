package ampybus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const newsDLQ = "ampy.dev.dlq.v1.news"

func refuseAll(context.Context, *ampybus.Message) error { return ampybus.Permanent(errHandler) }

func (w *world) pending(group string) uint64 {
	w.t.Helper()
	lag, err := w.bus.Lag(context.Background(), group)
	if err != nil {
		w.t.Fatal(err)
	}
	return lag.Pending
}

func TestNothingIsFinishedBeforeItsDeadLetterIsStored(t *testing.T) {
	for name, fault := range map[string]error{"full": driver.ErrFull, "gone": driver.ErrUnavailable, "forbidden": driver.ErrPermission} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				restore := w.broker.Refuse("ampy.dev.dlq.v1.>", fault)
				var got effects
				w.publish(newsTopic, "a", "bad")
				w.publish(newsTopic, "b", "good")
				stop := w.consume(news("g"), func(ctx context.Context, m *ampybus.Message) error {
					if string(m.Payload) == "bad" {
						return refuseAll(ctx, m)
					}
					got.add(m)
					return nil
				})
				settle(time.Minute)
				if got.of("b") != "[good]" {
					t.Errorf("a dead-letter topic that is down held other keys back: %v", got.all)
				}
				if w.pending("g") == 0 {
					t.Error("the message was finished without its dead letter")
				}
				if w.seen.noticed(ampybus.NoticeDLQBlocked) == 0 {
					t.Error("no alarm")
				}
				restore()
				settle(time.Minute)
				w.mustStop(stop)
				if dead := w.read(newsDLQ); len(dead) != 1 || w.pending("g") != 0 {
					t.Errorf("%d dead letters, %d pending", len(dead), w.pending("g"))
				}
			})
		})
	}
}

func TestADeadLetterIsNoRepeatOfItsOriginal(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.publish(newsTopic, "k", "1")
		w.again(e, "2") // another record under the same message_id
		stop := w.consume(news("g"), refuseAll)
		settle(time.Minute)
		w.mustStop(stop)
		other := w.consume(news("h"), refuseAll)
		settle(time.Minute)
		w.mustStop(other)
		if got := fmt.Sprint(w.payloads(newsDLQ)); got != "[1 2 1 2]" {
			t.Errorf("dead letters %s, want one for each record and group", got)
		}
	})
}

// letters makes n dead letters of news and returns them.
func (w *world) letters(n int) []*ampybus.DeadLetter {
	w.t.Helper()
	for i := range n {
		w.publish(newsTopic, "k", fmt.Sprint(i))
	}
	stop := w.consume(news("maker"), refuseAll)
	settle(time.Minute)
	w.mustStop(stop)
	return w.open(newsDLQ)
}

func (w *world) open(pattern string) []*ampybus.DeadLetter {
	w.t.Helper()
	var ds []*ampybus.DeadLetter
	for d, err := range w.bus.DeadLetters(context.Background(), ampybus.Range{Pattern: pattern}) {
		if err != nil {
			w.t.Fatal(err)
		}
		ds = append(ds, d)
	}
	return ds
}

func TestARedriveSendsTheSameMessageBackOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		d := w.letters(2)[0]
		opts := ampybus.RedriveOptions{Reason: "fixed", Requester: "test@1"}
		origin, err := w.bus.Redrive(context.Background(), d, opts)
		if err != nil {
			t.Fatal(err)
		}
		news := w.read(newsTopic)
		back := news[len(news)-1]
		if back.Origin() != origin || back.Headers.MessageID != d.Headers.MessageID || back.Headers.RetryCount != 1 ||
			!back.Headers.DLQ.IsZero() || string(back.Payload) != "0" || back.Headers.Trace.TraceID != d.Headers.Trace.TraceID {
			t.Errorf("redriven copy %s: %+v", back.Origin(), back.Headers)
		}
		if open := w.open(newsDLQ); len(open) != 1 || string(open[0].Payload) != "1" {
			t.Errorf("%d dead letters are open, want the other one", len(open))
		}
		if kept := w.read(newsDLQ); len(kept) != 2 {
			t.Errorf("%d dead letters are kept as evidence, want 2", len(kept))
		}
		again, err := w.bus.Redrive(context.Background(), d, opts) // as after a crash before the settlement
		if err != nil || again != origin || len(w.read(newsTopic)) != len(news) {
			t.Errorf("redriven again: %s, %v; %d records, want the copy at %s and no other", again, err, len(w.read(newsTopic)), origin)
		}
	})
}

func TestAFixedPayloadIsRedrivenInsteadOfTheStoredOne(t *testing.T) {
	inWorld(t, func(w *world) {
		d := w.letters(1)[0]
		if _, err := w.bus.Redrive(context.Background(), d, ampybus.RedriveOptions{Payload: []byte("fixed")}); err != nil {
			t.Fatal(err)
		}
		var got effects
		stop := w.consume(news("g2"), func(_ context.Context, m *ampybus.Message) error { got.add(m); return nil })
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("k") != "[0]" { // g2 applied the original first: another payload under its id is a conflict
			t.Errorf("effects %s", got.of("k"))
		}
		c := news("maker")
		stop = w.consume(c, func(_ context.Context, m *ampybus.Message) error { got.add(m); return nil })
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("k") != "[0 fixed]" {
			t.Errorf("effects %s", got.of("k"))
		}
	})
}

func TestAForgedTargetIsRefused(t *testing.T) {
	for _, target := range []string{
		"ampy.prod.news.v1.raw", "ampy.dev.orders.v1.requests", "ampy.dev.dlq.v1.news", "ampy.dev.news.v1.*", "ampy.staging.news.v1.raw",
	} {
		t.Run(target, func(t *testing.T) {
			inWorld(t, func(w *world) {
				d := w.letters(1)[0]
				d.Target = target
				before := len(w.read("ampy.>"))
				_, err := w.bus.Redrive(context.Background(), d, ampybus.RedriveOptions{Force: true})
				if !errors.Is(err, ampybus.ErrRedriveRefused) {
					t.Errorf("Redrive: %v, want refused", err)
				}
				if after := len(w.read("ampy.>")); after != before {
					t.Errorf("%d records were stored", after-before)
				}
			})
		})
	}
}

func TestRedrivesAreBoundedWithoutForce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.letters(1)
		for round := 1; ; round++ {
			open := w.open(newsDLQ)
			if len(open) != 1 {
				t.Fatalf("%d open in round %d", len(open), round)
			}
			_, err := w.bus.Redrive(context.Background(), open[0], ampybus.RedriveOptions{})
			if errors.Is(err, ampybus.ErrRedriveRefused) {
				if _, err := w.bus.Redrive(context.Background(), open[0], ampybus.RedriveOptions{Force: true}); err != nil {
					t.Errorf("forced: %v", err)
				}
				return
			}
			if err != nil || round > 20 {
				t.Fatalf("round %d: %v", round, err)
			}
			stop := w.consume(news("maker"), refuseAll)
			settle(time.Minute)
			w.mustStop(stop)
		}
	})
}

func TestACrashBehindADeadLetterNeitherRunsNorRepeatsIt(t *testing.T) {
	inWorld(t, func(w *world) {
		tr := w.broker.Transport()
		doomed := ampybus.New(tr, ampybus.Options{})
		c := orders("g")
		c.CommitEvery = time.Hour
		w.publish(ordersTopic, "a", "1")
		w.publish(ordersTopic, "a", "2")
		stop := w.consumeOn(doomed, c, refuseAll)
		settle(time.Second)
		tr.Crash()
		_ = stop()
		_ = doomed.Close()
		if n := len(w.open(ordersDLQ)); n != 2 || w.pending("g") != 2 {
			t.Fatalf("%d dead letters, %d pending: the crash came too late to tell anything", n, w.pending("g"))
		}
		var got effects
		stop = w.consume(orders("g"), func(_ context.Context, m *ampybus.Message) error { got.add(m); return nil })
		settle(time.Minute)
		if got.count() != 0 || len(w.open(ordersDLQ)) != 2 || w.pending("g") != 0 {
			t.Errorf("after the crash: effects %v, %d dead letters, %d pending", got.all, len(w.open(ordersDLQ)), w.pending("g"))
		}
		for _, d := range w.open(ordersDLQ) {
			if _, err := w.bus.Redrive(context.Background(), d, ampybus.RedriveOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("a") != "[1 2]" {
			t.Errorf("after the redrive: %s", got.of("a"))
		}
	})
}

func TestTwoDeadLettersOfOneMessageAreToldApart(t *testing.T) {
	inWorld(t, func(w *world) {
		var got effects
		broken := true
		stop := w.consume(orders("g"), func(_ context.Context, m *ampybus.Message) error {
			if broken {
				return ampybus.Permanent(errHandler)
			}
			got.add(m)
			return nil
		})
		e := w.publish(ordersTopic, "a", "1")
		w.again(e, "1")
		w.publish(ordersTopic, "a", "2")
		settle(time.Minute)
		broken = false
		open := w.open(ordersDLQ)
		if len(open) != 3 {
			t.Fatalf("%d dead letters, want 3", len(open))
		}
		if err := w.bus.Discard(context.Background(), open[1], ampybus.SettleOptions{Reason: "a repeat", Requester: "test@1"}); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		w.publish(ordersTopic, "a", "3") // the first is still open
		settle(time.Minute)
		if got.count() != 0 {
			t.Errorf("discarding the repeat let %v overtake", got.all)
		}
		for _, d := range w.open(ordersDLQ) {
			if _, err := w.bus.Redrive(context.Background(), d, ampybus.RedriveOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		settle(time.Minute)
		w.publish(ordersTopic, "a", "4")
		settle(time.Minute)
		w.mustStop(stop)
		if got.of("a") != "[1 2 3 4]" {
			t.Errorf("effects %s", got.of("a"))
		}
	})
}

func TestAMessageThatKillsTheProcessIsQuarantined(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, p := range []string{"1", "killer", "3"} {
			w.publish(newsTopic, p, p)
		}
		var got effects
		deaths := 0
		for deaths < 10 {
			tr := w.broker.Transport()
			bus := ampybus.New(tr, ampybus.Options{})
			died := false
			stop := w.consumeOn(bus, news("g"), func(ctx context.Context, m *ampybus.Message) error {
				if string(m.Payload) == "killer" {
					died = true
					tr.Crash() // as kill -9: nothing is reported, committed or given back
					<-ctx.Done()
					return ctx.Err()
				}
				got.add(m)
				return nil
			})
			settle(time.Minute)
			_ = stop()
			_ = bus.Close()
			if !died {
				break
			}
			deaths++
		}
		dead := w.read(newsDLQ)
		if len(dead) != 1 || string(dead[0].Payload) != "killer" || ampybus.ReasonCode(dead[0].Headers.DLQ.Reason) != ampybus.ReasonCrashLoop {
			t.Fatalf("%d dead letters after %d deaths", len(dead), deaths)
		}
		if deaths < 2 || deaths > 5 {
			t.Errorf("quarantined after %d deaths", deaths)
		}
		if w.pending("g") != 0 || got.of("3") == "[]" {
			t.Errorf("%d pending, effects %v", w.pending("g"), got.all)
		}
	})
}
