package ampytest

import (
	"maps"
	"slices"
)

// checkCommits replays the history: when a commit is asked for, everything
// below it must be finished already.
func (a *audit) checkCommits() {
	lanes := make(map[string]*laneView)
	applied := make(map[string]bool) // messages
	buried := make(map[string]bool)  // origins
	for i := range a.events {
		e := &a.events[i]
		switch e.Op {
		case OpEffect:
			applied[e.ID] = true
		case OpDead:
			if e.Phase == OK {
				buried[e.Origin] = true
			}
		case OpOwn:
			a.checkOwn(lanes, e)
		case OpDeliver:
			if l := lanes[e.Lane]; l != nil {
				l.delivered[e.Pos] = true
			}
		case OpCommit:
			if l := lanes[e.Lane]; l != nil {
				a.checkCommit(l, e, applied, buried)
			}
		}
	}
}

// laneView is a lane while the history is replayed.
type laneView struct {
	log       *logView
	name      string
	next      uint64   // commits are judged up to here
	due       []uint64 // positions that the lane must finish, rising; judged ones are cut off
	delivered map[uint64]bool
	share     bool
	committed uint64
	epoch     uint64 // of the latest commit
	low       uint64 // of the latest commit
}

func (a *audit) checkOwn(lanes map[string]*laneView, e *Event) {
	l := lanes[e.Lane]
	if l == nil {
		v := a.log(logOf(e.Lane))
		l = &laneView{
			log: v, name: logOf(e.Lane), next: e.Pos, share: logOf(e.Lane) != e.Lane,
			due: slices.Sorted(maps.Keys(v.seen)), delivered: make(map[uint64]bool),
		}
		lanes[e.Lane] = l
	}
	// A lane that resumes at its epoch may have been committed since it was told.
	if e.Epoch > l.epoch && e.Pos < l.committed {
		a.find(CommitBackwards, "", e.Proc, "lane %s begins at %d at epoch %d, after a commit at %d", e.Lane, e.Pos, e.Epoch, l.committed)
	}
}

func (a *audit) checkCommit(l *laneView, e *Event, applied, buried map[string]bool) {
	if e.Phase == OK {
		l.committed = max(l.committed, e.Pos)
	}
	if e.Phase != Invoke {
		return
	}
	if e.Epoch == l.epoch && e.Pos < l.low {
		a.find(CommitBackwards, "", e.Proc, "lane %s is committed at %d, after %d at the same epoch", e.Lane, e.Pos, l.low)
	}
	l.epoch, l.low = e.Epoch, e.Pos
	for len(l.due) > 0 && l.due[0] < e.Pos {
		pos := l.due[0]
		l.due = l.due[1:]
		rec := l.log.seen[pos]
		at := place{l.name, pos}
		switch {
		case pos < l.next, l.share && !l.delivered[pos], applied[rec.ID], buried[at.String()], l.log.reported(pos):
		default:
			a.find(CommitBeyondDone, rec.Key, rec.ID, "committed below %d by %s, while %v was not finished", e.Pos, e.Proc, at)
		}
	}
}
