package inbox

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// maxName keeps the name of a thing within what an index entry may hold.
const maxName = 1024

// VersionOf says which thing a message is about and how new it is: for example
// a security's key and its as-of time in nanoseconds. Names are the group's, so
// things of several kinds need a prefix each.
type VersionOf func(m *ampybus.Message) (name string, version int64, err error)

// Latest reports whether version is higher than every version recorded for
// name before, and records it with tx. An equal version is not newer: a
// correction needs a higher one. It keeps one row for each name, for good.
func (in *Inbox) Latest(ctx context.Context, tx *sql.Tx, name string, version int64) (newer bool, err error) {
	if len(name) > maxName {
		return false, fmt.Errorf("record version of %.40s…: the name has %d bytes, over the limit of %d", name, len(name), maxName)
	}
	n, err := affected(tx.ExecContext(ctx, in.sql.latest, in.cfg.Group, name, version))
	if err != nil {
		return false, fmt.Errorf("record version of %s: %w", name, err)
	}
	return n > 0, nil
}

// LatestHandler returns a handler that runs effect only for messages newer than
// all before them of the same name; duplicates and late ones are no-ops. It
// keeps one row for each name instead of one for each message, fences as
// Handler does, and suits state that a newer message replaces: positions,
// rates, bars, universes. It does not notice a reused message_id.
func (in *Inbox) LatestHandler(of VersionOf, effect Effect) ampybus.Handler {
	return func(ctx context.Context, m *ampybus.Message) error {
		name, version, err := of(m)
		if err != nil {
			return err
		}
		return in.transact(ctx, m, func(tx *sql.Tx) (verdict, error) {
			newer, err := in.Latest(ctx, tx, name, version)
			if err != nil || !newer {
				return noOp, err
			}
			return applied, effect(ctx, tx, m)
		})
	}
}
