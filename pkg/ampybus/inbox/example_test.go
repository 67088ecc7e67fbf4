package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/sqlite"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

// A ledger adds up fills. The same fill is published twice, under one
// dedupe_key, and counts once.
func Example() {
	quantity, stats, err := ledger()
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println("position AAPL.XNAS:", quantity)
	fmt.Printf("%+v\n", stats)
	// Output:
	// position AAPL.XNAS: 100
	// {Applied:1 NoOp:1 Conflict:0 Fenced:0}
}

// ledger consumes two messages and returns what it adds up to.
func ledger() (quantity int, stats inbox.Stats, err error) {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		return 0, stats, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := sqlite.Open(filepath.Join(dir, "ledger.db"))
	if err != nil {
		return 0, stats, err
	}
	defer db.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in, err := inbox.New(db, inbox.Config{Group: "ledger", Retention: inbox.Window(ampybus.DomainFills)})
	if err != nil {
		return 0, stats, err
	}
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS positions (security TEXT PRIMARY KEY, quantity INTEGER NOT NULL)`)
	if err := errors.Join(err, in.Create(ctx)); err != nil {
		return 0, stats, err
	}

	bus := membinding.New(membinding.Config{}).Connect(ampybus.Options{})
	defer bus.Close()
	for range 2 {
		h := ampybus.NewHeaders("ampy.fills.v1.FillEvent", "broker@1", "paper", "AAPL.XNAS")
		h.RunID, h.DedupeKey = "run_1", "exec_77"
		if err := bus.Publish(ctx, "ampy.dev.fills.v1.events", h, []byte("100")); err != nil {
			return 0, stats, err
		}
	}

	handled := 0
	add := in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
		quantity, err := strconv.Atoi(string(m.Payload))
		if err != nil {
			return ampybus.Permanent(err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO positions (security, quantity) VALUES ($1, $2)
			ON CONFLICT (security) DO UPDATE SET quantity = quantity + excluded.quantity`, m.Headers.PartitionKey, quantity)
		return err
	})
	err = bus.Consume(ctx, ampybus.Consumer{Pattern: "ampy.dev.fills.v1.>", Group: "ledger", Dedupe: in},
		func(ctx context.Context, m *ampybus.Message) error {
			err := add(ctx, m)
			if handled++; handled == 2 { // one key: never two at once
				cancel()
			}
			return err
		})
	if err != nil {
		return 0, stats, err
	}

	err = db.QueryRowContext(context.Background(), `SELECT quantity FROM positions WHERE security = 'AAPL.XNAS'`).Scan(&quantity)
	return quantity, in.Stats(), err
}

// A file remembers what was sent to a venue that has no database of ours. An
// attempt that was interrupted asks the venue before it sends again.
func ExampleOpenFile() {
	dir, err := os.MkdirTemp("", "venue")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sent, err := inbox.OpenFile(filepath.Join(dir, "sent.inbox"), inbox.FileConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sent.Close()
	send := func(_ context.Context, m *ampybus.Message) error {
		if sent.Interrupted(m) {
			fmt.Println("ask the venue about", m.Headers.DedupeKey)
		}
		return nil
	}
	_ = ampybus.Consumer{Pattern: "ampy.dev.orders.v1.>", Group: "venue", Dedupe: sent}

	// What the bus does with it:
	m := &ampybus.Message{Topic: "ampy.dev.orders.v1.requests", Headers: ampybus.Headers{MessageID: ampybus.NewID(), DedupeKey: "co_1"}}
	for range 2 { // the first attempt is cut off before Mark
		if seen, err := sent.Seen(context.Background(), m); seen == ampybus.SeenNot && err == nil {
			_ = send(context.Background(), m)
		}
	}
	// Output:
	// ask the venue about co_1
}
