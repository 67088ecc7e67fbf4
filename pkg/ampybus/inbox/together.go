package inbox

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// SQLite has one writer, and a commit waits for the disk: about a millisecond
// in which the handlers of other keys gather. Whoever gets the writer next
// applies all that wait in one transaction, each within a savepoint, and
// commits once. This trades nothing: a handler returns when its effect is on
// disk, and an error undoes its own effect only.

// maxTogether bounds how long a transaction keeps other processes from writing.
const maxTogether = 64

// together runs c with other calls. The error says that c did not run.
func (in *Inbox) together(c *call) error {
	in.mu.Lock()
	in.waiting = append(in.waiting, c)
	in.mu.Unlock()
	if err := in.takeWriter(c.ctx); err != nil {
		if in.withdraw(c) {
			return err
		}
		in.writer <- struct{}{} // somebody has taken c up: see what became of it
	}
	defer in.releaseWriter()
	for !c.done {
		calls := in.takeWaiting()
		if len(calls) == 0 { // who took c up ended its goroutine within an effect
			calls = []*call{c}
		}
		in.commit(calls)
	}
	return nil
}

func (in *Inbox) takeWriter(ctx context.Context) error {
	if in.writer == nil {
		return nil
	}
	select {
	case in.writer <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the database's writer: %w", ctx.Err())
	}
}

func (in *Inbox) releaseWriter() {
	if in.writer != nil {
		<-in.writer
	}
}

func (in *Inbox) takeWaiting() []*call {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := min(len(in.waiting), maxTogether)
	batch := in.waiting[:n:n]
	in.waiting = in.waiting[n:]
	return batch
}

// withdraw takes c back, unless it was taken up already.
func (in *Inbox) withdraw(c *call) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	i := slices.Index(in.waiting, c)
	if i < 0 {
		return false
	}
	in.waiting = slices.Delete(in.waiting, i, i+1)
	return true
}

// commit runs calls to their end, together if that works and else one by one:
// then each learns its own fault.
func (in *Inbox) commit(calls []*call) {
	if len(calls) > 1 {
		calls = in.runnable(calls)
		in.share(calls)
	}
	for _, c := range calls {
		if !c.done {
			in.alone(c)
		}
	}
}

// runnable claims the lanes of calls, and drops those that cannot run.
func (in *Inbox) runnable(calls []*call) []*call {
	return slices.DeleteFunc(calls, func(c *call) bool {
		c.err = in.claim(c.ctx, c.m.Lane, c.m.Epoch)
		c.done = c.err != nil
		return c.done
	})
}

// share runs calls in one transaction. Those that it leaves undone were not
// applied.
func (in *Inbox) share(calls []*call) {
	if len(calls) == 0 {
		return
	}
	// The end of one caller's ctx must not undo the others.
	ctx := context.WithoutCancel(calls[0].ctx)
	tx, err := in.db.BeginTx(ctx, nil)
	if err != nil {
		return
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	for _, c := range calls {
		if !in.savepoint(ctx, tx, c) {
			return
		}
	}
	if tx.Commit() != nil {
		return
	}
	for _, c := range calls {
		c.done = true
	}
}

// savepoint runs c so that its failure undoes c alone; false when the whole
// transaction is lost, as after an interrupted statement.
func (in *Inbox) savepoint(ctx context.Context, tx *sql.Tx, c *call) bool {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT ampy_inbox"); err != nil {
		return false
	}
	if c.verdict, c.err = in.within(tx, c); c.err != nil {
		if _, err := tx.ExecContext(ctx, "ROLLBACK TO ampy_inbox"); err != nil {
			return false
		}
	}
	_, err := tx.ExecContext(ctx, "RELEASE ampy_inbox")
	return err == nil
}
