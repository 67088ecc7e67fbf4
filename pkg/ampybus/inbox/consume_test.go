package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

const fillsPattern = "ampy.dev.fills.v1.>"

// venue is a broker in memory, and a database that members of a group share.
type venue struct {
	*world
	broker *membinding.Broker
	bus    *ampybus.Bus // publishes
}

func inVenue(t *testing.T, f func(v *venue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &venue{world: onSQLite(t), broker: membinding.New(membinding.Config{DedupeWindow: time.Second})}
		v.bus = v.broker.Connect(ampybus.Options{})
		f(v)
		v.must(v.bus.Close())
	})
}

func (v *venue) publish(key, payload string) ampybus.Envelope {
	v.t.Helper()
	e := ampybus.Envelope{
		Topic:   fillsTopic,
		Headers: ampybus.NewHeaders("ampy.fills.v1.FillEvent", "test@1", "test", key),
		Payload: []byte(payload),
	}
	e.Headers.RunID = "run_test"
	v.send(e)
	return e
}

func (v *venue) send(e ampybus.Envelope) {
	v.t.Helper()
	v.must(v.bus.Publish(context.Background(), e.Topic, e.Headers, e.Payload))
}

// member is a process of the group: a client of its own, an inbox of its own.
type member struct {
	in    *inbox.Inbox
	t     *membinding.Transport
	crash func() // as kill -9
	stop  func() // as SIGTERM
}

func (v *venue) join(dedupe bool, wrap func(ampybus.Handler) ampybus.Handler) *member {
	m := &member{in: v.inbox(v.db), t: v.broker.Transport()}
	bus := ampybus.New(m.t, ampybus.Options{})
	c := ampybus.Consumer{Pattern: fillsPattern, Group: group, Workers: 8, CommitEvery: 20 * time.Millisecond}
	if !dedupe {
		c.Dedupe = m.in
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bus.Consume(ctx, c, wrap(m.in.Handler(insert))) }()
	end := func() error {
		cancel()
		err := <-done
		_ = bus.Close()
		return err
	}
	m.crash = func() { m.t.Crash(); _ = end() }
	m.stop = func() {
		if err := end(); err != nil {
			v.t.Errorf("Consume: %v", err)
		}
	}
	return m
}

func plain(h ampybus.Handler) ampybus.Handler { return h }

// settle lets everything happen that can happen within d.
func settle(d time.Duration) { time.Sleep(d); synctest.Wait() }

// wantInOrder expects each key's effects once and in the order of publishing.
func (v *venue) wantInOrder(keys, each int) {
	v.t.Helper()
	rows, err := v.db.QueryContext(context.Background(), `SELECT key, n FROM effects ORDER BY rowid`)
	v.must(err)
	defer rows.Close()
	got := make(map[string][]string)
	for rows.Next() {
		var key, n string
		v.must(rows.Scan(&key, &n))
		got[key] = append(got[key], n)
	}
	v.must(rows.Err())
	var want []string
	for n := range each {
		want = append(want, fmt.Sprint(n))
	}
	if len(got) != keys {
		v.t.Errorf("%d keys have effects, want %d", len(got), keys)
	}
	for key, ns := range got {
		if strings.Join(ns, " ") != strings.Join(want, " ") {
			v.t.Errorf("%s: effects %v, want %v", key, ns, want)
		}
	}
}

// Members crash while they work, others take their lanes over, and producers
// that are unsure publish again: with and without the bus's own memory.
func TestEffectsHappenOnceThroughCrashesTakeoversAndDuplicates(t *testing.T) {
	for _, dedupe := range []bool{false, true} {
		t.Run(fmt.Sprintf("memory dedupe %v", dedupe), func(t *testing.T) {
			inVenue(t, func(v *venue) { throughCrashes(v, dedupe) })
		})
	}
}

func throughCrashes(v *venue, dedupe bool) {
	const keys, each, crashes = 10, 100, 10
	random := rand.New(rand.NewPCG(1, 2))
	for n := range each {
		for k := range keys {
			e := v.publish(fmt.Sprintf("K%d", k), fmt.Sprint(n))
			if random.IntN(10) == 0 {
				settle(2 * time.Second) // the broker forgets the id
				v.send(e)
			}
		}
	}
	var total inbox.Stats
	for range crashes {
		left := random.Int64N(60) + 40
		var handled atomic.Int64
		reached := make(chan struct{})
		m := v.join(dedupe, func(h ampybus.Handler) ampybus.Handler {
			return func(ctx context.Context, m *ampybus.Message) error {
				time.Sleep(5 * time.Millisecond) // work, so that commits come in between
				err := h(ctx, m)
				if handled.Add(1) == left {
					close(reached)
				}
				return err
			}
		})
		<-reached
		m.crash()
		total.Applied += m.in.Stats().Applied
		total.NoOp += m.in.Stats().NoOp
	}
	m := v.join(dedupe, plain)
	settle(time.Minute)
	m.stop()
	total.Applied += m.in.Stats().Applied
	total.NoOp += m.in.Stats().NoOp
	v.wantInOrder(keys, each)
	if total.Applied != keys*each || total.NoOp < 50 {
		v.t.Errorf("%d effects and %d no-ops: want %d, and at least 50", total.Applied, total.NoOp, keys*each)
	}
}

// A handler hangs, as in a long pause of its process, until another member owns
// the lane and has gone on: what it then wants to write is refused.
func TestAHandlerThatWakesUpAsAStaleOwnerWritesNothing(t *testing.T) {
	inVenue(t, func(v *venue) {
		v.publish("A", "0")
		var fenced error
		wake, woke := make(chan struct{}), make(chan struct{})
		stale := v.join(false, func(h ampybus.Handler) ampybus.Handler {
			return func(_ context.Context, m *ampybus.Message) error {
				if string(m.Payload) == "0" {
					return h(context.Background(), m)
				}
				<-wake
				fenced = h(context.Background(), m) // its ctx has ended: it does not look
				close(woke)
				return fenced
			}
		})
		settle(time.Second)
		v.publish("A", "1")
		settle(time.Second)
		heal := stale.t.Cut()
		owner := v.join(false, plain)
		settle(time.Minute)
		v.publish("A", "2")
		settle(time.Second)
		close(wake)
		<-woke
		heal()
		settle(time.Minute)
		owner.stop()
		stale.stop()
		if !errors.Is(fenced, ampybus.ErrFenced) || stale.in.Stats().Fenced == 0 {
			t.Errorf("the stale owner got %v; stats %+v", fenced, stale.in.Stats())
		}
		v.wantInOrder(1, 3)
	})
}

// What conflicts is dead-lettered, not dropped and not applied.
func TestAConflictBecomesADeadLetter(t *testing.T) {
	inVenue(t, func(v *venue) {
		e := v.publish("A", "0")
		settle(2 * time.Second)
		e.Payload = []byte("forged")
		v.send(e)
		m := v.join(false, plain)
		settle(time.Minute)
		m.stop()
		v.wantInOrder(1, 1)
		var reasons []string
		for d, err := range v.bus.Read(context.Background(), ampybus.Range{Pattern: "ampy.dev.dlq.v1.fills"}) {
			v.must(err)
			reasons = append(reasons, ampybus.ReasonCode(d.Headers.DLQ.Reason))
		}
		if len(reasons) != 1 || reasons[0] != ampybus.ReasonIDConflict {
			t.Errorf("dead letters are %v, want one %s", reasons, ampybus.ReasonIDConflict)
		}
	})
}

// Reading history into the same handler repeats nothing, and applies what the
// group never got.
func TestReadingHistoryAddsNoSecondEffect(t *testing.T) {
	inVenue(t, func(v *venue) {
		for n := range 20 {
			v.publish("A", fmt.Sprint(n))
		}
		m := v.join(false, plain)
		settle(time.Second)
		m.stop()
		replayer := v.inbox(v.db)
		for range 3 {
			for m, err := range v.bus.Read(context.Background(), ampybus.Range{Pattern: fillsPattern}) {
				v.must(err)
				v.must(apply(replayer, m))
			}
		}
		v.publish("A", "20")
		for m, err := range v.bus.Read(context.Background(), ampybus.Range{Pattern: fillsPattern}) {
			v.must(err)
			v.must(apply(replayer, m))
		}
		v.wantStats(replayer, inbox.Stats{Applied: 1, NoOp: 80})
		v.wantInOrder(1, 21)
	})
}

// An effect that fails for a while holds its key back, and happens once.
func TestAFailingEffectIsTriedAgainAndHappensOnce(t *testing.T) {
	inVenue(t, func(v *venue) {
		for n := range 5 {
			v.publish("A", fmt.Sprint(n))
		}
		in := v.inbox(v.db)
		bus := v.broker.Connect(ampybus.Options{})
		failures := 3
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			done <- bus.Consume(ctx, ampybus.Consumer{Pattern: fillsPattern, Group: group, Dedupe: in},
				in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
					if err := insert(ctx, tx, m); err != nil {
						return err
					}
					if failures--; failures >= 0 {
						return errors.New("not now")
					}
					return nil
				}))
		}()
		settle(time.Minute)
		cancel()
		v.must(<-done)
		v.must(bus.Close())
		v.wantInOrder(1, 5)
	})
}
