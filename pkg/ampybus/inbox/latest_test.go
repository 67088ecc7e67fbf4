package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
)

// byPayload takes a message's payload for its version.
func byPayload(m *ampybus.Message) (string, int64, error) {
	v, err := strconv.ParseInt(string(m.Payload), 10, 64)
	return m.Headers.PartitionKey, v, err
}

// set is an effect that replaces state.
func set(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM effects WHERE key = $1`, m.Headers.PartitionKey); err != nil {
		return err
	}
	return insert(ctx, tx, m)
}

func TestOnlyANewerVersionIsApplied(t *testing.T) {
	onEach(t, func(w *world) {
		h := w.in.LatestHandler(byPayload, set)
		for _, v := range []string{"5", "5", "3", "7", "6"} {
			w.must(h(t.Context(), message("A", v)))
		}
		w.must(h(t.Context(), message("B", "-9223372036854775808")))
		w.must(h(t.Context(), message("B", "-1")))
		w.wantEffects("A=7 B=-1")
		w.wantStats(w.in, inbox.Stats{Applied: 4, NoOp: 3})
		if n := w.count("ampy_inbox"); n != 0 {
			t.Errorf("%d rows for messages, want none", n)
		}
		if n := w.count("ampy_inbox_latest"); n != 2 {
			t.Errorf("%d rows for versions, want one for each name", n)
		}
	})
}

func (w *world) count(table string) (n int) {
	w.t.Helper()
	w.must(w.db.QueryRowContext(context.Background(), "SELECT count(*) FROM "+table).Scan(&n))
	return n
}

func TestAVersionWhoseEffectFailsIsNotRecorded(t *testing.T) {
	refused := errors.New("refused")
	onEach(t, func(w *world) {
		fail := func(context.Context, *sql.Tx, *ampybus.Message) error { return refused }
		if err := w.in.LatestHandler(byPayload, fail)(t.Context(), message("A", "5")); !errors.Is(err, refused) {
			t.Errorf("the handler returned %v", err)
		}
		w.must(w.in.LatestHandler(byPayload, set)(t.Context(), message("A", "5")))
		w.wantEffects("A=5")
	})
}

func TestAStaleOwnerSetsNoLatest(t *testing.T) {
	onEach(t, func(w *world) {
		h := w.in.LatestHandler(byPayload, set)
		w.must(h(t.Context(), at(2, message("A", "1"))))
		wantFenced(t, h(t.Context(), at(1, message("A", "2"))))
		w.wantEffects("A=1")
	})
}

func TestAMessageWithoutAVersionIsTheHandlersError(t *testing.T) {
	onEach(t, func(w *world) {
		if err := w.in.LatestHandler(byPayload, set)(t.Context(), message("A", "x")); !errors.Is(err, strconv.ErrSyntax) {
			t.Errorf("error is %v", err)
		}
		long := func(*ampybus.Message) (string, int64, error) { return strings.Repeat("x", 1025), 1, nil }
		if err := w.in.LatestHandler(long, set)(t.Context(), message("A", "1")); err == nil {
			t.Error("a name of 1,025 bytes was taken")
		}
		w.wantEffects("")
	})
}

func TestRacingVersionsEndAtTheHighest(t *testing.T) {
	onEach(t, func(w *world) {
		var writers sync.WaitGroup
		for range 4 {
			in := w.inbox(w.open())
			writers.Go(func() {
				for v := range 20 {
					if err := in.LatestHandler(byPayload, set)(context.Background(), message("A", fmt.Sprint(v))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writers.Wait()
		w.wantEffects("A=19")
	})
}
