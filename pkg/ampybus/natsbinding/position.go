package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// lanePull bounds one pull of a group; the span bounds it further.
	lanePull = 4096
	// maxHeartbeat makes a dead server noticed within 2.5 s.
	maxHeartbeat = time.Second
)

// standing is where a lane takes up delivery: from its floor, with first the
// oldest position that the stream still holds.
type standing struct {
	from, first uint64
	crashes     int // of owners before, and what the last of them was handling
	started     uint64
}

// position begins delivery at the group's floor. It is run at each change of
// owner and whenever a delivery may have been lost: a durable alone would go on
// behind what it sent to somebody else, and deliver that later, out of order.
func (l *lane) position(ctx context.Context, epoch uint64) (standing, error) {
	l.io.Lock()
	defer l.io.Unlock()
	l.dropPuller()
	info, err := l.s.t.streamInfo(ctx, l.stream)
	if err != nil {
		return standing{}, err
	}
	floor, err := l.findFloor(ctx, epoch, info)
	if err != nil {
		return standing{}, err
	}
	if err := l.d.rewind(ctx, floor); err != nil {
		return standing{}, err
	}
	p, err := newPuller(l.s.t, l.pullConfig())
	if err != nil {
		return standing{}, err
	}
	l.mu.Lock()
	l.p, l.floor, l.due = p, floor, max(floor, info.State.FirstSeq)
	l.open, l.ackTo, l.last, l.passed = nil, mark{}, mark{}, 0
	l.mu.Unlock()
	l.epoch = epoch
	e := l.lease.current()
	return standing{from: floor, first: info.State.FirstSeq, crashes: e.Crashes, started: e.Started}, nil
}

// pullConfig keeps a pull shorter than a lease: what a frozen owner still has
// open must have ended when another member takes over.
func (l *lane) pullConfig() pullConfig {
	ttl := l.s.c.Lease
	return pullConfig{
		stream: l.stream, consumer: l.d.name, wake: l.wake,
		batch: lanePull, expires: ttl / 2, heartbeat: min(ttl/8, maxHeartbeat),
	}
}

// findFloor reads the group's position from the lease entry; on first use from
// the durable. It refuses positions of another stream, or of an end that the
// stream lost: with a new epoch the lane begins again in the one that is there.
func (l *lane) findFloor(ctx context.Context, epoch uint64, info *jetstream.StreamInfo) (uint64, error) {
	e := l.lease.current()
	if e.Floor == 0 {
		durable, err := l.d.ensure(ctx, info.State.LastSeq)
		if err != nil {
			return 0, err
		}
		e.Floor = floorOf(durable)
		return e.Floor, l.lease.update(ctx, epoch, func(x *leaseEntry) { x.Floor, x.Born = e.Floor, info.Created })
	}
	floor, err := l.confirm(ctx, e, info)
	if !errors.Is(err, errLogChanged) {
		return floor, err
	}
	failed := l.lease.update(ctx, epoch, func(x *leaseEntry) {
		x.Floor, x.Born, x.Epoch, x.Last, x.At, x.Passed = floor, info.Created, x.Epoch+1, 0, time.Time{}, 0
	})
	if failed != nil {
		return 0, failed
	}
	return 0, fmt.Errorf("lane %s: %w: the group was at %d and goes on at %d", l.name, err, e.Floor, floor)
}

// dropPuller ends delivery. The io lock is held.
func (l *lane) dropPuller() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.p != nil {
		l.p.close()
		l.p = nil
	}
}

// retire ends a tenure on this side.
func (l *lane) retire() {
	l.io.Lock()
	defer l.io.Unlock()
	l.dropPuller()
	l.epoch = 0
}

// giveAway releases the lease while the source closes.
func (l *lane) giveAway(epoch uint64) {
	if err := l.lease.release(l.s.closing(), epoch); err != nil {
		l.s.t.log.Info("nats: lease not given away; others take over when it ends", "lane", l.name, "group", l.s.c.Group, "error", err)
	}
}

// commit makes low the group's floor. The write of the lease entry is the
// commit: it fails for anybody but the owner. The durable is told afterwards;
// it serves monitoring, and as a copy of the position.
func (l *lane) commit(ctx context.Context, epoch, low uint64) error {
	l.io.Lock()
	defer l.io.Unlock()
	if l.epoch != epoch && !fenceless() {
		return driver.ErrFenced
	}
	if low > l.lease.current().Floor || fenceless() {
		newest := l.newestBelow(low)
		err := l.lease.update(ctx, epoch, func(e *leaseEntry) {
			if low > e.Floor {
				e.Floor, e.Passed, e.Crashes, e.Started = low, 0, 0, 0
			}
			if newest.pos > e.Last {
				e.Last, e.At = newest.pos, newest.at
			}
		})
		if err != nil {
			return err
		}
	} else if l.lease.left() <= 0 {
		return driver.ErrFenced
	}
	l.finish(low)
	l.ackLocked(ctx)
	l.admit()
	return nil
}

// begin notes what is being handled, for the owner after a crash.
func (l *lane) begin(ctx context.Context, epoch, behind uint64) error {
	l.io.Lock()
	defer l.io.Unlock()
	if l.epoch != epoch {
		return driver.ErrFenced
	}
	return l.lease.update(ctx, epoch, func(e *leaseEntry) { e.Started = behind })
}

// newestBelow is the newest delivered record below low; zero when none is open.
func (l *lane) newestBelow(low uint64) mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := sort.Search(len(l.open), func(i int) bool { return l.open[i].pos >= low })
	if n == 0 {
		return mark{}
	}
	return l.open[n-1]
}

// finish forgets the records below low.
func (l *lane) finish(low uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor = max(l.floor, low)
	n := 0
	for n < len(l.open) && l.open[n].pos < low {
		l.ackTo = l.open[n]
		n++
	}
	l.open = l.open[n:]
	if len(l.open) == 0 { // what follows belongs to other shares
		l.ackTo = later(l.ackTo, l.last)
	}
}

// settleAck tells the durable what an earlier attempt could not.
func (l *lane) settleAck(ctx context.Context) {
	l.io.Lock()
	defer l.io.Unlock()
	l.ackLocked(ctx)
}

// ackLocked acknowledges the newest finished record, and with it all before.
// A failure is not the commit's: it is tried again later. The io lock is held.
func (l *lane) ackLocked(ctx context.Context) {
	l.mu.Lock()
	p, to := l.p, l.ackTo
	l.mu.Unlock()
	if p == nil || to.seq == 0 {
		return
	}
	if err := l.s.t.ack(ctx, p.ackPrefix(), to.pos, to.seq); err != nil {
		l.s.t.log.Debug("nats: durable not told of a commit yet", "lane", l.name, "error", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ackTo == to {
		l.ackTo = mark{}
	}
}

// lift moves the floor over what is not this lane's, as part of a renewal: what
// the server has looked at and did not match, and records of other shares. So
// retention of these is no gap of ours.
func (l *lane) lift(e *leaseEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.p == nil || len(l.open) > 0 {
		return
	}
	to := l.passed
	if scanned, idle := l.p.idle(); idle && scanned+1 >= l.due {
		to = max(to, scanned+1)
	}
	if to <= e.Floor {
		return
	}
	switch {
	case l.last.pos > e.Last:
		e.Last, e.At, e.Passed = l.last.pos, l.last.at, l.last.pos+1
	case e.Passed == 0:
		e.Passed = e.Floor
	}
	e.Floor = to
}
