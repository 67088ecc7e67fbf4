package inbox_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
)

func TestAMessageIsAppliedOnce(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		for range 3 {
			w.must(apply(w.in, m))
		}
		w.must(apply(w.inbox(w.open()), m)) // another process
		w.wantEffects("A=1")
		w.wantStats(w.in, inbox.Stats{Applied: 1, NoOp: 2})
	})
}

func TestTheCaseOfAMessageIDIsNoDifference(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		w.must(apply(w.in, with(m, func(m *ampybus.Message) { m.Headers.MessageID = strings.ToUpper(m.Headers.MessageID) })))
		w.must(apply(w.in, m))
		w.wantEffects("A=1")
	})
}

func TestAMessageWithoutALegalIDIsPoison(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		m.Headers.MessageID = ""
		wantPoison(t, apply(w.in, m), "envelope:message_id")
		w.wantEffects("")
	})
}

func TestAReusedMessageIDIsAConflictAndNoDuplicate(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		w.must(apply(w.in, m))
		wantPoison(w.t, apply(w.in, with(m, func(m *ampybus.Message) { m.Payload = []byte("2") })), ampybus.ReasonIDConflict)
		w.wantEffects("A=1")
		w.wantStats(w.in, inbox.Stats{Applied: 1, Conflict: 1})
	})
}

func TestADedupeKeyIdentifiesWithinItsTopic(t *testing.T) {
	keyed := func(payload string) *ampybus.Message {
		return with(message("A", payload), func(m *ampybus.Message) { m.Headers.DedupeKey = "co_1" })
	}
	onEach(t, func(w *world) {
		first, again := keyed("1"), keyed("1")
		w.must(apply(w.in, first))
		w.must(apply(w.in, again))
		w.must(apply(w.in, again))
		wantPoison(w.t, apply(w.in, keyed("2")), ampybus.ReasonDedupeConflict)
		w.must(apply(w.in, with(keyed("3"), func(m *ampybus.Message) { m.Topic = "ampy.dev.fills.v1.other" })))
		w.wantEffects("A=1 A=3")
		w.wantStats(w.in, inbox.Stats{Applied: 2, NoOp: 2, Conflict: 1})
	})
}

func TestARefusedConflictLeavesNoTrace(t *testing.T) {
	onEach(t, func(w *world) {
		first := with(message("A", "1"), func(m *ampybus.Message) { m.Headers.DedupeKey = "co_1" })
		second := with(message("A", "2"), func(m *ampybus.Message) { m.Headers.DedupeKey = "co_1" })
		w.must(apply(w.in, first))
		wantPoison(w.t, apply(w.in, second), ampybus.ReasonDedupeConflict)
		w.must(apply(w.in, with(second, func(m *ampybus.Message) { m.Headers.DedupeKey = "co_2" })))
		w.wantEffects("A=1 A=2")
	})
}

func TestAFailedEffectLeavesNothingAndRunsAgain(t *testing.T) {
	refused := errors.New("refused")
	onEach(t, func(w *world) {
		m := message("A", "1")
		m.Headers.DedupeKey = "co_1"
		err := w.in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
			w.must(insert(ctx, tx, m))
			return ampybus.Permanent(refused)
		})(t.Context(), m)
		if !errors.Is(err, refused) {
			t.Errorf("the handler returned %v", err)
		}
		w.wantEffects("")
		w.wantStats(w.in, inbox.Stats{})
		w.must(apply(w.in, m))
		w.wantEffects("A=1")
	})
}

func TestAPanickingEffectLeavesNothing(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		err := w.in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
			w.must(insert(ctx, tx, m))
			panic("bang")
		})(t.Context(), m)
		var panicked interface {
			Reason() string
			Stack() []byte
		}
		if !errors.As(err, &panicked) || panicked.Reason() != ampybus.ReasonPanic || !bytes.Contains(panicked.Stack(), []byte("handler_test.go")) {
			t.Errorf("the handler returned %v", err)
		}
		w.wantEffects("")
		w.must(apply(w.in, m))
		w.wantEffects("A=1")
	})
}

func TestAStatementThatFailsSpoilsOnlyItsOwnMessage(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		err := w.in.Handler(func(ctx context.Context, tx *sql.Tx, _ *ampybus.Message) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO no_such_table VALUES (1)")
			return err
		})(t.Context(), m)
		if err == nil {
			t.Error("a failing statement was committed")
		}
		w.must(apply(w.in, message("B", "2")))
		w.must(apply(w.in, m))
		w.wantEffects("A=1 B=2")
	})
}

func TestGroupsDoNotShareWhatIsKnown(t *testing.T) {
	onEach(t, func(w *world) {
		other, err := inbox.New(w.db, inbox.Config{Group: "risk", Dialect: w.dialect})
		w.must(err)
		m := message("A", "1")
		w.must(apply(w.in, m))
		w.must(apply(other, with(m, func(m *ampybus.Message) { m.Group = "risk" })))
		w.wantEffects("A=1 A=1")
	})
}

func TestAMessageOfAnotherGroupIsRefused(t *testing.T) {
	onEach(t, func(w *world) {
		err := apply(w.in, with(message("A", "1"), func(m *ampybus.Message) { m.Group = "risk" }))
		if !errors.Is(err, ampybus.ErrConfig) {
			t.Errorf("error is %v, want ErrConfig", err)
		}
		w.wantEffects("")
	})
}

func TestReplayedHistoryIsANoOp(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		w.must(apply(w.in, m))
		// What Bus.Read returns has no group and no lane.
		read := with(m, func(m *ampybus.Message) { m.Group, m.Lane, m.Epoch = "", "", 0 })
		w.must(apply(w.in, read))
		missed := with(message("A", "2"), func(m *ampybus.Message) { m.Group, m.Lane, m.Epoch = "", "", 0 })
		w.must(apply(w.in, missed))
		w.must(apply(w.in, at(7, with(missed, func(m *ampybus.Message) { m.Group, m.Lane = group, lane }))))
		w.wantEffects("A=1 A=2")
	})
}

func TestAConfigurationThatCannotWorkNamesItsField(t *testing.T) {
	for field, c := range map[string]inbox.Config{
		"group":     {},
		"dialect":   {Group: "g", Dialect: 7},
		"prefix":    {Group: "g", Prefix: "x; DROP TABLE effects --"},
		"retention": {Group: "g", Retention: -1},
	} {
		_, err := inbox.New(nil, c)
		var fault *ampybus.FieldError
		if !errors.Is(err, ampybus.ErrConfig) || !errors.As(err, &fault) || fault.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
