package inbox_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
)

// age makes everything in the inbox older.
func (w *world) age(d time.Duration) {
	w.t.Helper()
	for _, table := range []string{"ampy_inbox", "ampy_inbox_keys"} {
		_, err := w.db.ExecContext(context.Background(), "UPDATE "+table+" SET seen_ms = seen_ms - $1", d.Milliseconds())
		w.must(err)
	}
}

func (w *world) wantPurged(in *inbox.Inbox, want int64) {
	w.t.Helper()
	n, err := in.Purge(context.Background())
	w.must(err)
	if n != want {
		w.t.Errorf("%d rows purged, want %d", n, want)
	}
}

func TestPurgeForgetsWhatIsOlderThanTheRetention(t *testing.T) {
	const retention = 10 * 24 * time.Hour
	onEach(t, func(w *world) {
		in, err := inbox.New(w.db, inbox.Config{Group: group, Dialect: w.dialect, Retention: retention})
		w.must(err)
		m := message("A", "1")
		m.Headers.DedupeKey = "co_1"
		w.must(apply(in, m))
		other, err := inbox.New(w.db, inbox.Config{Group: "risk", Dialect: w.dialect})
		w.must(err)
		w.must(apply(other, with(m, func(m *ampybus.Message) { m.Group = "risk" })))

		w.age(retention - time.Hour)
		w.wantPurged(in, 0)
		w.age(2 * time.Hour)
		w.wantPurged(other, 0)
		w.wantPurged(in, 2) // the message_id and the dedupe_key, of this group only
		w.must(apply(in, m))
		w.wantEffects("A=1 A=1 A=1")
	})
}

// A copy of a message may be stored, and delivered, long after the first.
func TestADuplicateKeepsItsMessageKnown(t *testing.T) {
	const retention = 10 * 24 * time.Hour
	onEach(t, func(w *world) {
		in, err := inbox.New(w.db, inbox.Config{Group: group, Dialect: w.dialect, Retention: retention})
		w.must(err)
		m := message("A", "1")
		m.Headers.DedupeKey = "co_1"
		w.must(apply(in, m))
		w.age(retention - time.Hour)
		again := with(message("A", "1"), func(m *ampybus.Message) { m.Headers.DedupeKey = "co_1" })
		w.must(apply(in, again)) // known by its key
		w.age(2 * time.Hour)
		w.wantPurged(in, 1) // the first message_id
		w.must(apply(in, m))
		w.age(retention - time.Hour)
		w.must(apply(in, m))
		w.age(2 * time.Hour)
		w.wantPurged(in, 1) // the other message_id
		w.must(apply(in, again))
		w.wantEffects("A=1")
	})
}

func TestTheWindowCoversLogDeadLettersAndADay(t *testing.T) {
	const day = 24 * time.Hour
	for domain, log := range map[string]time.Duration{"bars": 7 * day, "universe": 30 * day, "orders": 90 * day} {
		dead, _ := ampybus.PolicyFor(ampybus.DomainDLQ)
		if got, want := inbox.Window(domain), log+dead.Retention+day; got != want {
			t.Errorf("%s: %v, want %v", domain, got, want)
		}
	}
	if got := inbox.Window(); got != inbox.Window("orders", "bars") {
		t.Errorf("the window of every domain is %v", got)
	}
}

func TestTablesMayBeCreatedByManyAtOnce(t *testing.T) {
	onEach(t, func(w *world) {
		var all sync.WaitGroup
		for range 4 {
			in, err := inbox.New(w.open(), inbox.Config{Group: group, Dialect: w.dialect, Prefix: "other_"})
			w.must(err)
			all.Go(func() {
				if err := in.Create(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := w.count("other_inbox"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestPrefixesKeepInboxesApart(t *testing.T) {
	onEach(t, func(w *world) {
		other, err := inbox.New(w.db, inbox.Config{Group: group, Dialect: w.dialect, Prefix: "other_"})
		w.must(err)
		w.must(other.Create(t.Context()))
		m := message("A", "1")
		w.must(apply(w.in, m))
		w.must(apply(other, m))
		w.wantEffects("A=1 A=1")
	})
}

func TestTablesOfANewerVersionAreRefused(t *testing.T) {
	onEach(t, func(w *world) {
		_, err := w.db.ExecContext(t.Context(), "UPDATE ampy_inbox_schema SET version = 2")
		w.must(err)
		err = w.in.Create(t.Context())
		if !errors.Is(err, ampybus.ErrConfig) || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("error is %v", err)
		}
	})
}
