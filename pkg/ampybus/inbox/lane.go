package inbox

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// claim raises the epoch of a lane's row to that of its present owner, once in
// this process; it leaves a higher one, and fence tells. It waits for
// transactions of the former owner that hold the lane; those that begin later
// are fenced. It is a statement of its own: two messages that raised the epoch
// within their transactions would wait for each other.
func (in *Inbox) claim(ctx context.Context, lane string, epoch uint64) error {
	if lane == "" {
		return nil
	}
	in.mu.Lock()
	claimed, known := in.claimed[lane]
	in.mu.Unlock()
	if known && claimed == epoch {
		return nil
	}
	if _, err := in.db.ExecContext(ctx, in.sql.claim, in.cfg.Group, lane, int64(epoch)); err != nil {
		return fmt.Errorf("claim lane %s: %w", lane, err)
	}
	in.mu.Lock()
	in.claimed[lane] = max(in.claimed[lane], epoch)
	in.mu.Unlock()
	return nil
}

// disclaim makes the next message of a lane look at its row again.
func (in *Inbox) disclaim(lane string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.claimed, lane)
}

// fence holds the lane at epoch until tx ends, or fails when another member
// has raised its epoch. On SQLite it also makes tx a writer from the start.
func (in *Inbox) fence(ctx context.Context, tx *sql.Tx, lane string, epoch uint64) error {
	if lane == "" || mutant.On("inbox-no-fence") {
		return nil
	}
	n, err := affected(tx.ExecContext(ctx, in.sql.fence, in.cfg.Group, lane, int64(epoch)))
	if err != nil {
		return fmt.Errorf("hold lane %s: %w", lane, err)
	}
	if n == 0 {
		return fmt.Errorf("hold lane %s at epoch %d: %w", lane, epoch, ampybus.ErrFenced)
	}
	return nil
}

// Lane is what the inbox holds of a lane.
type Lane struct {
	Name  string
	Epoch uint64 // of the owner that wrote last
	// Position is the highest that was applied or given up. Messages of other
	// keys below it may be open: the broker holds the group's position.
	// LatestHandler records no positions.
	Position uint64
}

// Lanes reports the group's lanes by name.
func (in *Inbox) Lanes(ctx context.Context) ([]Lane, error) {
	rows, err := in.db.QueryContext(ctx, in.sql.lanes, in.cfg.Group)
	if err != nil {
		return nil, fmt.Errorf("read lanes of group %s: %w", in.cfg.Group, err)
	}
	defer rows.Close()
	var lanes []Lane
	for rows.Next() {
		var l Lane
		if err := rows.Scan(&l.Name, &l.Epoch, &l.Position); err != nil {
			return nil, fmt.Errorf("read lanes of group %s: %w", in.cfg.Group, err)
		}
		lanes = append(lanes, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read lanes of group %s: %w", in.cfg.Group, err)
	}
	return lanes, nil
}

// Forget removes the fence of a lane. It is for an operator whose broker lost
// the group and counts epochs anew, so that the new owner looks stale; no
// member of the group may be running. What was applied stays known.
func (in *Inbox) Forget(ctx context.Context, lane string) error {
	if _, err := in.db.ExecContext(ctx, in.sql.forget, in.cfg.Group, lane); err != nil {
		return fmt.Errorf("forget lane %s of group %s: %w", lane, in.cfg.Group, err)
	}
	in.disclaim(lane)
	return nil
}
