// Package inbox makes the effects of a handler happen once, however often its
// messages are delivered. For a handler whose effects are rows of a SQL
// database, the identity of the message, the fence against a former owner of
// its lane and the effect are one transaction:
//
//	db, err := sqlite.Open("ledger.db") // package inbox/sqlite, or any *sql.DB
//	in, err := inbox.New(db, inbox.Config{Group: "ledger"})
//	err = in.Create(ctx)
//	err = bus.Consume(ctx, ampybus.Consumer{Pattern: "ampy.prod.fills.v1.>", Group: "ledger", Dedupe: in},
//		in.Handler(func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error {
//			_, err := tx.ExecContext(ctx, "INSERT INTO fills ...")
//			return err
//		}))
//
// Where only the latest state of a thing counts, LatestHandler keeps one row
// for each thing instead of one for each message.
//
// For a handler whose effects are elsewhere, OpenFile is a store with a weaker
// promise: a crash between the effect and its mark repeats the effect.
// OpenCheckpoint keeps positions for who reads logs without a group.
//
// The package imports database/sql and no driver. It is no outbox: publishing
// as part of an effect needs one of its own.
package inbox
