package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
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
// A panic of effect undoes everything and is the handler's error.
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

// try runs step for m: alone, or on SQLite together with what else waits for
// the database's one writer.
func (in *Inbox) try(ctx context.Context, m *ampybus.Message, step func(*sql.Tx) (verdict, error)) (verdict, error) {
	if m.Group != "" && m.Group != in.cfg.Group {
		return 0, fmt.Errorf("inbox of group %s got a message of group %s: %w", in.cfg.Group, m.Group, ampybus.ErrConfig)
	}
	c := &call{ctx: ctx, m: m, step: step}
	if in.writer == nil {
		in.alone(c)
	} else if err := in.together(c); err != nil {
		return 0, err
	}
	return c.verdict, c.err
}

// A call is one message on its way through a transaction.
type call struct {
	ctx  context.Context
	m    *ampybus.Message
	step func(*sql.Tx) (verdict, error)

	verdict verdict
	err     error
	done    bool
}

// alone runs c in a transaction of its own.
func (in *Inbox) alone(c *call) {
	c.verdict, c.err = in.transaction(c)
	c.done = true
}

func (in *Inbox) transaction(c *call) (verdict, error) {
	if err := in.claim(c.ctx, c.m.Lane, c.m.Epoch); err != nil {
		return 0, err
	}
	tx, err := in.db.BeginTx(c.ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("begin transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	v, err := in.within(tx, c)
	if err != nil {
		if mutant.On("inbox-keep-failed-effect") {
			_ = tx.Commit()
		}
		return 0, err
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("commit %s: %w", c.m.Headers.MessageID, err)
	}
	return v, nil
}

// within runs c's part of a transaction. A panic is an error, as it is to the
// bus: on SQLite the goroutine may be that of another message.
func (in *Inbox) within(tx *sql.Tx, c *call) (v verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = 0, &effectPanic{value: p, stack: debug.Stack()}
		}
	}()
	if err := in.fence(c.ctx, tx, c.m.Lane, c.m.Epoch); err != nil {
		return 0, err
	}
	return c.step(tx)
}

type effectPanic struct {
	value any
	stack []byte
}

func (p *effectPanic) Error() string { return fmt.Sprintf("effect panicked: %v", p.value) }

// Reason is the code of the dead letter, should it come to one.
func (p *effectPanic) Reason() string { return ampybus.ReasonPanic }

// Stack is the stack of the panic, for observers.
func (p *effectPanic) Stack() []byte { return p.stack }
