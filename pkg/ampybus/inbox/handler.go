package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Effect applies one message within tx. It must not commit or roll back tx,
// nor write to the database by another connection: on SQLite that would wait
// for itself. Nil commits; an error undoes everything and is the handler's.
type Effect func(ctx context.Context, tx *sql.Tx, m *ampybus.Message) error

// verdict is what a transaction did.
type verdict int

const (
	applied verdict = iota + 1
	noOp
)

// Handler returns a handler that runs effect once for each message. A message
// is known by its message_id, and by its topic and dedupe_key where it has one
// (specification §8). A known one with the same payload is a no-op. A known
// one with another payload is a *ampybus.PoisonError with ReasonIDConflict or
// ReasonDedupeConflict, which makes it a dead letter: an order under a reused
// id is never swallowed.
//
// The handler's transaction fails with ampybus.ErrFenced, and leaves nothing,
// once a member with a higher epoch has written for the message's lane.
// Messages that do not come from Consume (a replay that reads history) have no
// lane and are not fenced.
//
// A commit whose outcome is unknown is an error; the next attempt finds out.
func (in *Inbox) Handler(effect Effect) ampybus.Handler {
	return func(ctx context.Context, m *ampybus.Message) error {
		id, err := identify(m)
		if err != nil {
			return err
		}
		return in.transact(ctx, m, func(tx *sql.Tx) (verdict, error) {
			fresh, err := in.record(ctx, tx, id, m)
			if err != nil {
				return 0, err
			}
			if !fresh {
				return noOp, nil
			}
			return applied, effect(ctx, tx, m)
		})
	}
}

// transact runs step in a transaction that holds m's lane, and counts what
// became of it.
func (in *Inbox) transact(ctx context.Context, m *ampybus.Message, step func(*sql.Tx) (verdict, error)) error {
	v, err := in.try(ctx, m, step)
	var poison *ampybus.PoisonError
	switch {
	case errors.Is(err, ampybus.ErrFenced):
		in.fenced.Add(1)
		in.disclaim(m.Lane)
	case errors.As(err, &poison) && (poison.Code == ampybus.ReasonIDConflict || poison.Code == ampybus.ReasonDedupeConflict):
		in.conflict.Add(1)
	case err != nil:
	case v == applied:
		in.applied.Add(1)
	case v == noOp:
		in.noOp.Add(1)
	}
	return err
}

func (in *Inbox) try(ctx context.Context, m *ampybus.Message, step func(*sql.Tx) (verdict, error)) (v verdict, err error) {
	if m.Group != "" && m.Group != in.cfg.Group {
		return 0, fmt.Errorf("inbox of group %s got a message of group %s: %w", in.cfg.Group, m.Group, ampybus.ErrConfig)
	}
	if err := in.takeTurn(ctx); err != nil {
		return 0, err
	}
	defer in.endTurn()
	if err := in.claim(ctx, m.Lane, m.Epoch); err != nil {
		return 0, err
	}
	tx, err := in.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("begin transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing; also on a panic
	if err := in.fence(ctx, tx, m.Lane, m.Epoch); err != nil {
		return 0, err
	}
	if v, err = step(tx); err != nil {
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("commit %s: %w", m.Headers.MessageID, err)
	}
	return v, nil
}

func (in *Inbox) takeTurn(ctx context.Context) error {
	if in.turn == nil {
		return nil
	}
	select {
	case in.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the writer's turn: %w", ctx.Err())
	}
}

func (in *Inbox) endTurn() {
	if in.turn != nil {
		<-in.turn
	}
}
