//go:build chaos

package chaos

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/sqlite"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// effectsTable has a row for each effect, in the order in which they happened.
const effectsTable = `CREATE TABLE IF NOT EXISTS effects (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, key TEXT, log TEXT, lane TEXT, pos INTEGER, epoch INTEGER, value BLOB)`

// ledger is a service whose effects are rows of a SQLite file that all
// processes share. Its Store only counts attempts.
type ledger struct {
	chaos.Service
	File string
}

func runLedger(args []byte) error {
	var l ledger
	if err := json.Unmarshal(args, &l); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	attempts, err := chaos.DialStore(l.Store)
	if err != nil {
		return err
	}
	db, in, err := openLedger(ctx, l.File)
	if err != nil {
		return err
	}
	bus, err := natsbinding.Connect(chaos.NATS(l.URL))
	if err != nil {
		return err
	}
	apply := in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO effects (id, key, log, lane, pos, epoch, value) VALUES (?, ?, ?, ?, ?, ?, ?)",
			m.Headers.MessageID, m.Headers.PartitionKey, m.Log, m.Lane, int64(m.Pos), int64(m.Epoch), m.Record.Value)
		return err
	})
	chaos.Say("ready")
	err = bus.Consume(ctx, ampybus.Consumer{
		Pattern: l.Topic, Group: chaos.Group, Lease: l.Lease, MaxSpan: l.MaxSpan, Shares: l.Shares, Workers: 32, Dedupe: in,
	}, func(ctx context.Context, m *ampybus.Message) error {
		if _, err := attempts.Apply(l.Name, m); err != nil {
			return err
		}
		return apply(ctx, m)
	})
	if err != nil {
		return err
	}
	if err := bus.Close(); err != nil {
		return err
	}
	return db.Close()
}

func openLedger(ctx context.Context, file string) (*sql.DB, *inbox.Inbox, error) {
	db, err := sqlite.Open(file)
	if err != nil {
		return nil, nil, err
	}
	if _, err := db.ExecContext(ctx, effectsTable); err != nil {
		return nil, nil, err
	}
	in, err := inbox.New(db, inbox.Config{Group: chaos.Group})
	if err != nil {
		return nil, nil, err
	}
	return db, in, in.Create(ctx)
}

// noteEffects puts the rows of the ledger into the history.
func noteEffects(s *chaos.Scene, db *sql.DB) {
	s.TB.Helper()
	rows, err := db.QueryContext(s.TB.Context(), "SELECT id, key, log, lane, pos, epoch, value FROM effects ORDER BY seq")
	if err != nil {
		s.TB.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var m ampybus.Message
		var pos, epoch int64
		var value []byte
		if err := rows.Scan(&m.Headers.MessageID, &m.Headers.PartitionKey, &m.Log, &m.Lane, &pos, &epoch, &value); err != nil {
			s.TB.Fatal(err)
		}
		m.Pos, m.Epoch, m.Record = uint64(pos), uint64(epoch), driver.Record{Value: value}
		s.History.Effect("ledger", &m)
	}
	if err := rows.Err(); err != nil {
		s.TB.Fatal(err)
	}
}

// TestAHundredKillsOfConsumersWithAnInbox is the same with a real database,
// whose transactions are cut off by the kills.
func TestAHundredKillsOfConsumersWithAnInbox(t *testing.T) {
	const n, keys, kills = 50_000, 200, 100
	srv := brokertest.StartProcess(t, false)
	s := at(t, srv.URL())
	attempts, err := ampytest.NewHistory(s.Topic, chaos.Group)
	if err != nil {
		t.Fatal(err)
	}
	s.Store = chaos.NewStore(attempts)
	l := ledger{
		Service: chaos.Service{URL: srv.URL(), Store: chaos.Serve(t, s.Store), Topic: s.Topic, Lease: lease, MaxSpan: 500, Shares: 3},
		File:    filepath.Join(t.TempDir(), "ledger.db"),
	}
	db, _, err := openLedger(t.Context(), l.File)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	x := &services{s: s, procs: make(map[string]*chaos.Child)}
	names := []string{"a", "b", "c"}
	begin := func(name string) {
		l.Name = name
		x.procs[name] = chaos.Start(t, "ledger", l)
		x.procs[name].Await(t, "ready")
	}
	for _, name := range names {
		begin(name)
	}
	load := s.Publish(n, keys, 2000)
	for i := range kills {
		s.Progress((i + 1) * n / (kills + 2))
		name := names[s.Dice.IntN(len(names))]
		x.procs[name].Kill()
		begin(name)
	}
	<-load.Done
	s.Drained()
	x.end()
	noteEffects(s, db)
	r := s.Check(ampytest.Rules{})
	if r.Dead > 0 {
		t.Errorf("%d healthy messages became dead letters", r.Dead)
	}
	s.AtLeast("applied", r.Applied, n)
	s.AtLeast("redeliveries", s.Store.Count(chaos.Repeat)+s.Store.Count(chaos.Fenced), 1000)
	s.Figures(*page, "three consumers with a SQLite inbox, killed", fmt.Sprintf("%d × SIGKILL", kills), r)
}
