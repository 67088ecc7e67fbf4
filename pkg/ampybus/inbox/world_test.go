package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/sqlite"
)

const (
	group      = "ledger"
	lane       = "ampy.dev.fills"
	fillsTopic = "ampy.dev.fills.v1.events"
)

// world is a database with an inbox and a table of effects that would hold a
// second effect if there were one.
type world struct {
	t       testing.TB
	dialect inbox.Dialect
	open    func() *sql.DB
	db      *sql.DB
	in      *inbox.Inbox
}

// onEach runs a promise against every database.
func onEach(t *testing.T, f func(w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(onSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(onPostgres(t)) })
}

func onSQLite(t testing.TB) *world {
	path := filepath.Join(t.TempDir(), "inbox #1 %41.db")
	return newWorld(t, inbox.SQLite, func() (*sql.DB, error) { return sqlite.Open(path) })
}

var schemas atomic.Int64

func onPostgres(t testing.TB) *world {
	dsn := postgresDSN(t)
	admin, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("ampy_test_%d_%s", schemas.Add(1), strings.ReplaceAll(ampybus.NewID(), "-", ""))
	if _, err := admin.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = admin.ExecContext(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
		_ = admin.Close()
	})
	return newWorld(t, inbox.Postgres, func() (*sql.DB, error) { return sql.Open("pgx", inSchema(dsn, schema)) })
}

func newWorld(t testing.TB, d inbox.Dialect, open func() (*sql.DB, error)) *world {
	w := &world{t: t, dialect: d}
	w.open = func() *sql.DB {
		db, err := open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	w.db = w.open()
	w.in = w.inbox(w.db)
	if err := w.in.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := w.db.ExecContext(t.Context(), `CREATE TABLE effects (key TEXT NOT NULL, n TEXT NOT NULL)`)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// inbox is another process's inbox on db.
func (w *world) inbox(db *sql.DB) *inbox.Inbox {
	w.t.Helper()
	in, err := inbox.New(db, inbox.Config{Group: group, Dialect: w.dialect})
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// insert is an effect that a repeat would double.
func insert(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO effects (key, n) VALUES ($1, $2)`, m.Headers.PartitionKey, string(m.Payload))
	return err
}

// effects lists what was applied, as "key=payload", in the order of a sort.
func (w *world) effects() string {
	w.t.Helper()
	rows, err := w.db.QueryContext(context.Background(), `SELECT key, n FROM effects ORDER BY key, n`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var key, n string
		if err := rows.Scan(&key, &n); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, key+"="+n)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func (w *world) wantEffects(want string) {
	w.t.Helper()
	if got := w.effects(); got != want {
		w.t.Errorf("effects are %q, want %q", got, want)
	}
}

func (w *world) wantStats(in *inbox.Inbox, want inbox.Stats) {
	w.t.Helper()
	if got := in.Stats(); got != want {
		w.t.Errorf("stats are %+v, want %+v", got, want)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// apply hands m to a handler of in, as the bus does.
func apply(in *inbox.Inbox, m *ampybus.Message) error {
	return in.Handler(insert)(context.Background(), m)
}

var positions atomic.Uint64

// message is a delivery of the lane at epoch 1.
func message(key, payload string) *ampybus.Message {
	return &ampybus.Message{
		Topic:   fillsTopic,
		Headers: ampybus.NewHeaders("ampy.fills.v1.FillEvent", "test@1", "test", key),
		Payload: []byte(payload),
		Attempt: 1,
		Log:     lane, Pos: positions.Add(1),
		Group: group, Lane: lane, Epoch: 1,
	}
}

// with returns a changed copy of m.
func with(m *ampybus.Message, change func(m *ampybus.Message)) *ampybus.Message {
	c := m.Clone()
	change(c)
	return c
}

// redriven is the copy of m that a redrive publishes: of a later position.
func redriven(m *ampybus.Message) *ampybus.Message {
	return with(m, func(m *ampybus.Message) { m.Headers.RetryCount++; m.Pos = positions.Add(1) })
}

func at(epoch uint64, m *ampybus.Message) *ampybus.Message {
	return with(m, func(m *ampybus.Message) { m.Epoch = epoch })
}

func wantPoison(t testing.TB, err error, code string) {
	t.Helper()
	var poison *ampybus.PoisonError
	if !errors.As(err, &poison) || poison.Code != code {
		t.Errorf("error is %v, want poison %s", err, code)
	}
}
