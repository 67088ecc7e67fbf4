package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
)

// together runs handlers that wait for SQLite's writer at the same time, and
// returns their errors. They share a transaction.
func together(t *testing.T, f func(w *world, run func(...func() error) []error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := onSQLite(t)
		f(w, func(handlers ...func() error) []error {
			errs := make([]error, len(handlers))
			inside, leave := make(chan struct{}), make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() { // holds the writer until everybody waits for it
				_ = w.in.Handler(func(context.Context, *sql.Tx, *ampybus.Message) error {
					close(inside)
					<-leave
					return errors.New("no effect")
				})(context.Background(), message("first", "0"))
			})
			<-inside
			for i, h := range handlers {
				all.Go(func() { errs[i] = h() })
				synctest.Wait() // in this order
			}
			close(leave)
			all.Wait()
			return errs
		})
	})
}

func (w *world) handle(m *ampybus.Message, e inbox.Effect) func() error {
	return func() error { return w.in.Handler(e)(context.Background(), m) }
}

func TestHandlersThatWaitTogetherAreAllApplied(t *testing.T) {
	together(t, func(w *world, run func(...func() error) []error) {
		var all []func() error
		var want []string
		for i := range 150 {
			all = append(all, w.handle(message("A", fmt.Sprintf("%03d", i)), insert))
			want = append(want, fmt.Sprintf("A=%03d", i))
		}
		w.must(errors.Join(run(all...)...))
		w.wantEffects(strings.Join(want, " "))
		w.wantStats(w.in, inbox.Stats{Applied: 150})
	})
}

func TestAFailureUndoesItsOwnEffectOnly(t *testing.T) {
	refused := errors.New("refused")
	together(t, func(w *world, run func(...func() error) []error) {
		failing, panicking, broken := message("B", "2"), message("C", "3"), message("D", "4")
		duplicate := message("E", "5")
		errs := run(
			w.handle(message("A", "1"), insert),
			w.handle(failing, func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
				w.must(insert(ctx, tx, m))
				return refused
			}),
			w.handle(panicking, func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
				w.must(insert(ctx, tx, m))
				panic("bang")
			}),
			w.handle(broken, func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
				w.must(insert(ctx, tx, m))
				_, err := tx.ExecContext(ctx, "INSERT INTO no_such_table VALUES (1)")
				return err
			}),
			w.handle(duplicate, insert),
			w.handle(duplicate, insert),
			w.handle(with(duplicate, func(m *ampybus.Message) { m.Payload = []byte("6") }), insert),
			w.handle(at(0, message("F", "7")), insert),
		)
		for i, failed := range []bool{false, true, true, true, false, false, true, true} {
			if (errs[i] != nil) != failed {
				t.Errorf("handler %d returned %v", i, errs[i])
			}
		}
		if !errors.Is(errs[1], refused) {
			t.Errorf("the failing handler returned %v", errs[1])
		}
		wantPoison(t, errs[6], ampybus.ReasonIDConflict)
		wantFenced(t, errs[7])
		w.wantEffects("A=1 E=5")
		w.wantStats(w.in, inbox.Stats{Applied: 2, NoOp: 1, Conflict: 1, Fenced: 1})
		w.must(errors.Join(run(w.handle(failing, insert), w.handle(panicking, insert), w.handle(broken, insert))...))
		w.wantEffects("A=1 B=2 C=3 D=4 E=5")
	})
}

func TestTheEndOfOneCallersContextUndoesNoOther(t *testing.T) {
	together(t, func(w *world, run func(...func() error) []error) {
		waiting, inside := context.Background(), context.Background()
		waiting, leave := context.WithCancel(waiting)
		inside, interrupt := context.WithCancel(inside)
		gone, late := message("B", "2"), message("C", "3")
		var returned atomic.Bool
		errs := run(
			w.handle(message("A", "1"), insert),
			func() error { return w.in.Handler(insert)(waiting, gone) },
			func() error { leave(); return nil },
			func() error {
				defer returned.Store(true)
				return w.in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
					w.must(insert(context.Background(), tx, m))
					interrupt()
					synctest.Wait()
					if returned.Load() {
						t.Error("a handler has returned and its effect still runs")
					}
					return insert(ctx, tx, m)
				})(inside, late)
			},
			w.handle(message("D", "4"), insert),
		)
		if !errors.Is(errs[1], context.Canceled) || !errors.Is(errs[3], context.Canceled) {
			t.Errorf("errors are %v", errs)
		}
		w.must(errors.Join(errs[0], errs[4]))
		w.wantEffects("A=1 D=4")
		w.must(errors.Join(run(w.handle(gone, insert), w.handle(late, insert))...))
		w.wantEffects("A=1 B=2 C=3 D=4")
	})
}

func TestAContextThatEndsBehindTheEffectDoesNotUndoIt(t *testing.T) {
	together(t, func(w *world, run func(...func() error) []error) {
		first, end := context.WithCancel(context.Background())
		errs := run(
			func() error { return w.in.Handler(insert)(first, message("A", "1")) },
			w.handle(message("B", "2"), func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
				end()
				synctest.Wait()
				return insert(ctx, tx, m)
			}),
		)
		w.must(errors.Join(errs...))
		w.wantEffects("A=1 B=2")
	})
}

// An interrupted SQLite statement rolls the whole transaction back.
func TestALostTransactionIsRunAgainOneByOne(t *testing.T) {
	together(t, func(w *world, run func(...func() error) []error) {
		runs := 0
		errs := run(
			w.handle(message("A", "1"), insert),
			w.handle(message("B", "2"), func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
				if runs++; runs == 1 {
					_, err := tx.ExecContext(ctx, "ROLLBACK")
					return err
				}
				return insert(ctx, tx, m)
			}),
			w.handle(message("C", "3"), insert),
		)
		w.must(errors.Join(errs...))
		w.wantEffects("A=1 B=2 C=3")
		w.wantStats(w.in, inbox.Stats{Applied: 3})
	})
}

func TestACommitThatTheDatabaseRefusesIsTheFaultOfOne(t *testing.T) {
	together(t, func(w *world, run func(...func() error) []error) {
		for _, ddl := range []string{
			`CREATE TABLE parent (id INTEGER PRIMARY KEY)`,
			`CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)`,
		} {
			_, err := w.db.ExecContext(w.t.Context(), ddl)
			w.must(err)
		}
		orphan := func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
			w.must(insert(ctx, tx, m))
			_, err := tx.ExecContext(ctx, `INSERT INTO child VALUES (7)`)
			return err
		}
		errs := run(
			w.handle(message("A", "1"), insert),
			w.handle(message("B", "2"), orphan),
			w.handle(message("C", "3"), insert),
		)
		if errs[1] == nil {
			t.Error("an orphan was committed")
		}
		w.must(errors.Join(errs[0], errs[2]))
		w.wantEffects("A=1 C=3")
	})
}

func TestAnEffectThatEndsItsGoroutineStopsNobody(t *testing.T) {
	together(t, func(w *world, run func(...func() error) []error) {
		exit := true
		errs := run(
			w.handle(message("A", "1"), insert),
			w.handle(message("B", "2"), func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
				if exit {
					exit = false
					runtime.Goexit()
				}
				return insert(ctx, tx, m)
			}),
			w.handle(message("C", "3"), insert),
		)
		w.must(errors.Join(errs[1:]...))
		w.wantEffects("B=2 C=3") // A's goroutine is the one that ended
		w.wantStats(w.in, inbox.Stats{Applied: 2})
	})
}
