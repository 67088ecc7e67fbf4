package membinding

import (
	"maps"
	"sort"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// lane is a log, or a share of one, as one group reads it. The broker's lock
// guards it.
type lane struct {
	group     *group
	log       *log
	name      string
	share     int
	committed uint64         // everything below is finished
	counts    map[uint64]int // deliveries of records not committed

	owner *source
	epoch uint64

	crashes int    // owners in a row that vanished, without a commit in between
	started uint64 // what the last owner had marked

	// Of the present owner:
	reset    uint64   // grows whenever delivery begins anew
	next     uint64   // position behind the last record handed out
	out      []uint64 // positions handed out and not committed, rising
	paused   bool
	draining bool
	limit    *time.Timer // takes the lane away: end of lease, or of draining
}

func newLane(g *group, l *log, share int, start uint64) *lane {
	return &lane{
		group: g, log: l, share: share, name: driver.LaneOf(l.name, share, g.shares),
		committed: start, counts: make(map[uint64]int), epoch: g.epochs,
	}
}

// seek is the position of the lane's oldest record in [pos, end), or end.
func (ln *lane) seek(pos, end uint64) uint64 {
	for ; ; pos++ {
		pos = ln.log.seek(ln.group.pattern, pos, end)
		if pos >= end || pos >= ln.log.next() || ln.holds(pos) {
			return pos
		}
	}
}

// holds reports whether the record at pos belongs to the lane's share.
func (ln *lane) holds(pos uint64) bool {
	shares := ln.group.shares
	return shares == 1 || driver.ShareOf(ln.group.keyOf(ln.log, pos), shares) == ln.share
}

// pending counts the lane's records that are not finished.
func (ln *lane) pending() uint64 {
	n, end := uint64(0), ln.log.next()
	for pos := ln.seek(max(ln.committed, ln.log.first), end); pos < end; pos = ln.seek(pos+1, end) {
		n++
	}
	return n
}

// event is an event of the lane at its present epoch.
func (ln *lane) event(kind driver.EventKind) driver.Event {
	return driver.Event{Kind: kind, Lane: ln.name, Epoch: ln.epoch}
}

// assign makes s the owner.
func (ln *lane) assign(s *source) {
	ln.epoch++
	ln.owner = s
	ln.paused = false
	ln.restart()
}

// restart begins delivery at the commit, as after every change of owner or
// connection.
func (ln *lane) restart() {
	ln.reset++
	ln.next, ln.out = ln.committed, nil
	maps.DeleteFunc(ln.counts, func(pos uint64, _ int) bool { return pos < max(ln.committed, ln.log.first) })
	ev := ln.event(driver.Assigned)
	ev.From = ln.committed
	ev.Crashes, ev.Started = ln.crashes, ln.started
	ln.owner.tell(ev)
}

// release takes the lane from its owner. Whoever calls it balances the group.
func (ln *lane) release() {
	ln.keep()
	ln.owner.revise()
	ln.owner, ln.out, ln.draining = nil, nil, false
	ln.reset++
}

// takeAwayIn takes the lane from its owner after d, unless keep or release
// comes first.
func (ln *lane) takeAwayIn(d time.Duration) {
	ln.keep()
	var limit *time.Timer
	limit = time.AfterFunc(d, func() {
		ln.group.b.mu.Lock()
		defer ln.group.b.mu.Unlock()
		if ln.limit != limit {
			return
		}
		ln.owner.tell(ln.event(driver.Lost))
		if !ln.draining {
			ln.crashes++
		}
		ln.release()
		ln.group.balance()
	})
	ln.limit = limit
}

// keep stops what takeAwayIn began.
func (ln *lane) keep() {
	if ln.limit != nil {
		ln.limit.Stop()
		ln.limit = nil
	}
}

// drain asks the owner to give the lane away, and waits one lease for it.
func (ln *lane) drain() {
	owner := ln.owner
	ln.draining = true
	ev := ln.event(driver.Draining)
	ev.Done = func() {
		ln.group.b.mu.Lock()
		defer ln.group.b.mu.Unlock()
		if ln.owner == owner && ln.epoch == ev.Epoch && ln.draining && owner.t.connected {
			ln.release()
			ln.group.balance()
		}
	}
	owner.tell(ev)
	ln.takeAwayIn(owner.cfg.Lease)
}

// disconnected starts the lease of an owner that went silent.
func (ln *lane) disconnected() { ln.takeAwayIn(ln.owner.cfg.Lease) }

// reconnected goes on with an owner that came back within its lease.
func (ln *lane) reconnected() {
	if ln.draining {
		ln.takeAwayIn(ln.owner.cfg.Lease)
		return
	}
	ln.keep()
	ln.restart()
}

// commit moves the committed position up to low, never down.
func (ln *lane) commit(low uint64) {
	if low <= ln.committed {
		return
	}
	ln.committed = low
	ln.crashes, ln.started = 0, 0
	n := sort.Search(len(ln.out), func(i int) bool { return ln.out[i] >= low })
	for _, pos := range ln.out[:n] {
		delete(ln.counts, pos)
	}
	ln.out = ln.out[n:]
}

// handedOut notes that the owner received what begins at from and ends below
// next: the records at positions, or, with none, a gap.
func (ln *lane) handedOut(positions []uint64, next uint64) {
	for _, pos := range positions {
		if pos >= ln.committed {
			ln.counts[pos]++
			ln.out = append(ln.out, pos)
		}
	}
	ln.next = max(ln.next, next)
}

func (ln *lane) state() driver.LaneState {
	st := logState(ln.log, ln.group.pattern)
	st.Lane = ln.name
	st.Committed = ln.committed
	st.Pending = ln.pending()
	if ln.owner != nil {
		st.Owner = ln.owner.cfg.Member
	}
	return st
}
