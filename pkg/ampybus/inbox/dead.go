package inbox

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// MarkDead records that the dead letter of m is stored. The bus calls it before
// it goes on to the next message of the key: should the process die then, m
// comes again, is a no-op, and is not applied behind its successors. A redriven
// copy, which has a higher retry_count, is applied.
//
// What was applied stays applied: the dead letter of a conflict does not
// replace what it conflicts with. A former owner of the lane gets
// ampybus.ErrFenced.
func (in *Inbox) MarkDead(ctx context.Context, m *ampybus.Message) error {
	id, err := identify(m)
	if err != nil {
		return nil //nolint:nilerr // a message without an identity never reaches a handler
	}
	_, err = in.try(ctx, m, func(tx *sql.Tx) (verdict, error) {
		_, err := tx.ExecContext(ctx, in.sql.bury, in.cfg.Group, id.message, id.payload,
			int64(m.Headers.RetryCount), m.Lane, int64(m.Pos), nowMillis())
		if err != nil {
			return 0, fmt.Errorf("mark %s dead: %w", id.message, err)
		}
		return noOp, nil
	})
	return err
}
