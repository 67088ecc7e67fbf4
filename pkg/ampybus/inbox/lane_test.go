package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
)

func wantFenced(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, ampybus.ErrFenced) {
		t.Errorf("error is %v, want ErrFenced", err)
	}
}

func TestAStaleOwnerIsFenced(t *testing.T) {
	onEach(t, func(w *world) {
		stale, owner := w.in, w.inbox(w.open())
		w.must(apply(stale, at(1, message("A", "1"))))
		w.must(apply(owner, at(2, message("B", "2"))))

		wantFenced(t, apply(stale, at(1, message("A", "3"))))
		wantFenced(t, apply(w.inbox(w.open()), at(1, message("A", "4")))) // also one that has not written yet
		w.must(apply(owner, at(2, message("B", "5"))))
		w.wantEffects("A=1 B=2 B=5")
		w.wantStats(stale, inbox.Stats{Applied: 1, Fenced: 1})
	})
}

func TestAMemberThatGetsTheLaneBackGoesOn(t *testing.T) {
	onEach(t, func(w *world) {
		a, b := w.in, w.inbox(w.open())
		w.must(apply(a, at(1, message("A", "1"))))
		w.must(apply(b, at(2, message("A", "2"))))
		wantFenced(t, apply(a, at(1, message("A", "3"))))
		w.must(apply(a, at(3, message("A", "4"))))
		wantFenced(t, apply(b, at(2, message("A", "5"))))
		w.wantEffects("A=1 A=2 A=4")
	})
}

func TestLanesAreFencedApart(t *testing.T) {
	onEach(t, func(w *world) {
		w.must(apply(w.in, at(5, message("A", "1"))))
		w.must(apply(w.in, with(message("A", "2"), func(m *ampybus.Message) { m.Lane = "ampy.dev.orders" })))
		w.wantEffects("A=1 A=2")
	})
}

// The stale owner holds the lane within its transaction when the new one
// comes: the new one waits, and finds the effect done.
func TestATakeoverWaitsForATransactionThatBegan(t *testing.T) {
	onEach(t, func(w *world) {
		stale, owner := w.in, w.inbox(w.open())
		m := message("A", "1")
		began, finish := make(chan struct{}), make(chan struct{})
		var stopped error
		var both sync.WaitGroup
		both.Go(func() {
			stopped = stale.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
				close(began)
				<-finish
				return insert(ctx, tx, m)
			})(context.Background(), m)
		})
		<-began
		var taken error
		both.Go(func() { taken = apply(owner, at(2, m)) })
		close(finish)
		both.Wait()
		w.must(taken)
		if stopped != nil {
			wantFenced(t, stopped) // the new owner was faster than its first statement
		}
		w.wantEffects("A=1")
	})
}

// Two owners at different epochs race on the same messages, as after a lease
// that ended unnoticed. The order of a key in the database shows a stale effect.
func TestTwoOwnersInARaceApplyOnceAndInOrder(t *testing.T) {
	onEach(t, func(w *world) {
		const keys, each = 8, 15
		_, err := w.db.ExecContext(t.Context(), `CREATE TABLE steps (key TEXT NOT NULL, n INTEGER NOT NULL, epoch INTEGER NOT NULL)`)
		w.must(err)
		log := make(map[string][]*ampybus.Message)
		for k := range keys {
			key := fmt.Sprintf("K%d", k)
			for n := range each {
				log[key] = append(log[key], message(key, fmt.Sprint(n)))
			}
		}
		var owners sync.WaitGroup
		for epoch := uint64(1); epoch <= 3; epoch++ {
			in := w.inbox(w.open())
			h := in.Handler(step)
			for key := range log {
				owners.Go(func() {
					for _, m := range log[key] {
						if err := h(context.Background(), at(epoch, m)); err != nil {
							if !errors.Is(err, ampybus.ErrFenced) {
								t.Errorf("epoch %d: %v", epoch, err)
							}
							return // the lane is lost
						}
					}
				})
			}
		}
		owners.Wait()
		w.wantSteps(keys, each)
	})
}

// wantSteps checks that every key has its steps once each, and none of an
// older epoch behind one of a newer epoch.
func (w *world) wantSteps(keys, each int) {
	w.t.Helper()
	rows, err := w.db.QueryContext(context.Background(), `SELECT key, n, epoch FROM steps ORDER BY key, n`)
	w.must(err)
	defer rows.Close()
	seen := make(map[string][]int)
	last := make(map[string]int)
	for rows.Next() {
		var key string
		var n, epoch int
		w.must(rows.Scan(&key, &n, &epoch))
		seen[key] = append(seen[key], n)
		if epoch < last[key] {
			w.t.Errorf("%s: step %d of epoch %d stands behind one of epoch %d", key, n, epoch, last[key])
		}
		last[key] = epoch
	}
	w.must(rows.Err())
	if len(seen) != keys {
		w.t.Errorf("%d keys were applied, want %d", len(seen), keys)
	}
	for key, ns := range seen {
		for n := range each {
			if len(ns) != each || ns[n] != n {
				w.t.Fatalf("%s: steps %v, want each of %d once", key, ns, each)
			}
		}
	}
}

func TestKeysOfALaneAreAppliedAtOnceOnPostgres(t *testing.T) {
	w := onPostgres(t)
	meet := make(chan struct{})
	effect := func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
		select { // both have to be inside
		case meet <- struct{}{}:
		case <-meet:
		case <-ctx.Done():
			return ctx.Err()
		}
		return insert(ctx, tx, m)
	}
	w.must(apply(w.in, message("A", "0"))) // claims the lane
	var both sync.WaitGroup
	for _, key := range []string{"B", "C"} {
		both.Go(func() {
			if err := w.in.Handler(effect)(t.Context(), message(key, "1")); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	w.wantEffects("A=0 B=1 C=1")
}

func TestLanesReportEpochAndHighestPosition(t *testing.T) {
	onEach(t, func(w *world) {
		first := at(3, message("A", "1"))
		second := at(3, message("B", "2"))
		w.must(apply(w.in, second))
		w.must(apply(w.in, first))
		lanes, err := w.in.Lanes(t.Context())
		w.must(err)
		want := []inbox.Lane{{Name: lane, Epoch: 3, Position: second.Pos}}
		if !slices.Equal(lanes, want) {
			t.Errorf("lanes are %+v, want %+v", lanes, want)
		}
	})
}

func TestForgettingALaneLetsEpochsBeginAnew(t *testing.T) {
	onEach(t, func(w *world) {
		m := at(9, message("A", "1"))
		w.must(apply(w.in, m))
		wantFenced(t, apply(w.in, at(1, message("A", "2"))))
		w.must(w.in.Forget(t.Context(), lane))
		w.must(apply(w.in, at(1, message("A", "3"))))
		w.must(apply(w.in, at(1, m)))
		w.wantEffects("A=1 A=3")
	})
}

func TestAMemberWhoseLaneWasForgottenElsewhereClaimsItAgain(t *testing.T) {
	onEach(t, func(w *world) {
		w.must(apply(w.in, message("A", "1")))
		w.must(w.inbox(w.open()).Forget(t.Context(), lane))
		m := message("A", "2")
		wantFenced(t, apply(w.in, m))
		w.must(apply(w.in, m))
		w.wantEffects("A=1 A=2")
	})
}

// On SQLite every transaction waits for the one before.
func TestANewOwnerWaitsForTheTransactionsOfTheOldOneOnPostgres(t *testing.T) {
	w := onPostgres(t)
	_, err := w.db.ExecContext(t.Context(), `CREATE TABLE steps (key TEXT, n TEXT, epoch BIGINT, id SERIAL)`)
	w.must(err)
	owner := w.inbox(w.open())
	began, finish, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var stale sync.WaitGroup
	stale.Go(func() {
		err := w.in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
			close(began)
			<-finish
			return step(ctx, tx, m)
		})(context.Background(), message("A", "1"))
		if err != nil {
			t.Errorf("the transaction that began first: %v", err)
		}
	})
	<-began
	go func() { done <- owner.Handler(step)(context.Background(), at(2, message("A", "2"))) }()
	err = w.awaitLock(done)
	close(finish)
	stale.Wait()
	if err != nil {
		t.Fatal(err)
	}
	w.must(<-done)
	var order string
	w.must(w.db.QueryRowContext(t.Context(), `SELECT string_agg(n, ' ' ORDER BY id) FROM steps`).Scan(&order))
	if order != "1 2" {
		t.Errorf("the steps were %s", order)
	}
}

// awaitLock returns when a session waits for a lane, with an error when done
// comes first.
func (w *world) awaitLock(done chan error) error {
	w.t.Helper()
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	for waiting := 0; waiting == 0; {
		select {
		case err := <-done:
			return errors.Join(errors.New("the new owner did not wait"), err)
		case <-every.C:
			w.must(w.db.QueryRowContext(w.t.Context(), `SELECT count(*) FROM pg_stat_activity
				WHERE wait_event_type = 'Lock' AND query LIKE '%inbox_lanes%' AND pid <> pg_backend_pid()`).Scan(&waiting))
		}
	}
	return nil
}

func TestADuplicateOfAMessageInProgressWaits(t *testing.T) {
	onEach(t, func(w *world) {
		other := w.inbox(w.open())
		m := message("A", strings.Repeat("x", 3))
		began, finish := make(chan struct{}), make(chan struct{})
		var both sync.WaitGroup
		var first, second error
		both.Go(func() {
			first = w.in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
				close(began)
				<-finish
				return insert(ctx, tx, m)
			})(context.Background(), m)
		})
		<-began
		both.Go(func() { second = apply(other, m) })
		close(finish)
		both.Wait()
		w.must(errors.Join(first, second))
		w.wantEffects("A=xxx")
	})
}
