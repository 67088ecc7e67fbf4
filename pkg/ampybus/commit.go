package ampybus

import (
	"context"
	"errors"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// commitTimeout bounds one commit; the next tick tries again.
const commitTimeout = 5 * time.Second

// commitLoop commits what is finished, at the latest every CommitEvery.
func (e *engine) commitLoop(stop <-chan struct{}) {
	tick := time.NewTicker(e.c.CommitEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		case <-e.kick:
		}
		ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
		e.commitAll(ctx)
		cancel()
	}
}

// commitAll commits the finished prefix of every lane that has moved, at once
// where the source can.
func (e *engine) commitAll(ctx context.Context) {
	due := e.due()
	batch, ok := e.src.(driver.BatchCommitter)
	if !ok || len(due) == 1 {
		for _, c := range due {
			e.commit(ctx, c)
		}
		return
	}
	var mine []commitPoint
	var points []driver.Point
	for _, c := range due {
		if e.claimCommit(ctx, c) {
			mine = append(mine, c)
			points = append(points, driver.Point{Lane: c.l.name, Epoch: c.epoch, Low: c.low})
		}
	}
	if len(mine) == 0 {
		return
	}
	for i, err := range batch.CommitAll(ctx, points) {
		e.committed(mine[i], err)
	}
}

// commitPoint is a lane's finished prefix at one moment.
type commitPoint struct {
	l     *lane
	epoch uint64
	low   uint64
}

func (e *engine) due() []commitPoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	var points []commitPoint
	for _, l := range e.lanes {
		if low, epoch, ok := e.core.Low(l.name); ok && epoch == l.epoch && low > l.committed {
			points = append(points, commitPoint{l, epoch, low})
		}
	}
	return points
}

// commit commits one lane.
func (e *engine) commit(ctx context.Context, c commitPoint) {
	if e.claimCommit(ctx, c) {
		e.committed(c, e.src.Commit(ctx, c.l.name, c.epoch, c.low))
	}
}

// claimCommit takes the lane's token, for committed to give back, and reports
// whether the point is to be asked for. One that waited for another of its lane,
// which was behind it, is not asked for any more, whatever became of that one.
func (e *engine) claimCommit(ctx context.Context, c commitPoint) bool {
	select {
	case c.l.committing <- struct{}{}:
	case <-ctx.Done():
		return false // the next tick tries again
	}
	e.mu.Lock()
	past := c.low <= c.l.committed || c.low < c.l.asked
	c.l.asked = max(c.l.asked, c.low)
	e.mu.Unlock()
	if past {
		<-c.l.committing
	}
	return !past
}

// committed notes what became of a point.
func (e *engine) committed(c commitPoint, err error) {
	defer func() { <-c.l.committing }()
	switch {
	case err == nil:
		e.mu.Lock()
		c.l.committed = max(c.l.committed, c.low)
		e.mu.Unlock()
	case errors.Is(err, driver.ErrFenced):
		e.lose(c.l.name, c.epoch)
		e.notice(Notice{Kind: NoticeLost, Lane: c.l.name, Text: "fenced at commit", Err: err})
	default:
		e.notice(Notice{Kind: NoticeCommitFailed, Lane: c.l.name, Text: "commit failed; trying again", Err: err})
	}
}

// giveAway finishes a lane that the source must hand over: nothing new begins,
// what was begun ends with all that lies below it, the prefix is committed, then
// the source goes on.
func (e *engine) giveAway(ev driver.Event) {
	defer ev.Done()
	e.mu.Lock()
	l := e.lanes[ev.Lane]
	if l == nil || l.epoch != ev.Epoch {
		e.mu.Unlock()
		return
	}
	l.draining = true
	e.core.Seal(ev.Lane)
	stop := time.AfterFunc(e.c.DrainTimeout, func() { e.cutShort(l) })
	for (e.core.Running(ev.Lane) > 0 || e.core.Ready(ev.Lane) > 0) && e.lanes[ev.Lane] == l {
		e.cond.Wait()
	}
	e.mu.Unlock()
	stop.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	if low, epoch, ok := e.low(ev.Lane); ok && epoch == ev.Epoch {
		e.commit(ctx, commitPoint{l, epoch, low})
	}
	e.lose(ev.Lane, ev.Epoch)
}

// cutShort ends the patience with a lane that is given away: nothing more of it
// begins, and the ctx of what runs ends.
func (e *engine) cutShort(l *lane) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.cancel()
	e.core.Drain(l.name)
	e.cond.Broadcast()
}

func (e *engine) low(lane string) (low, epoch uint64, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.core.Low(lane)
}
