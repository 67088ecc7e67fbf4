package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// retryWait paces attempts to take up delivery again.
const retryWait = 100 * time.Millisecond

// errLogChanged says that the stream is not the one whose positions the group
// has: it was made again, or lost its end.
var errLogChanged = errors.New("the stream was made again, or lost records at its end")

// lane is one stream of a group, or a share of one: it waits for the lease, then
// delivers.
type lane struct {
	s      *source
	name   string // as in events
	stream string
	share  int
	d      durable
	whole  bool // the group reads all of the stream's subjects
	lease  *lease
	hints  *nats.Subscription
	nudge  chan struct{} // the lease entry may have changed
	wake   chan struct{} // the puller has something
	gate   *gate

	io    sync.Mutex // one commit or repositioning at a time
	epoch uint64     // guarded by io; 0: not the owner, or not in position yet
	// doubted is since when the stream ends before the group's position; guarded by io.
	doubted time.Time

	mu     sync.Mutex
	p      *puller
	floor  uint64 // everything below is finished
	due    uint64 // next position expected
	open   []mark // delivered, not finished, in order
	ackTo  mark   // finished, and the durable does not know it yet
	last   mark   // the last record that came, also of other shares
	passed uint64 // everything below was handed over, or is not this lane's
}

// mark is a delivered record: its position, the consumer's sequence, and when it
// was stored.
type mark struct {
	pos, seq uint64
	at       time.Time
}

// span is positions [from, to).
type span struct{ from, to uint64 }

func (s *source) newLane(ctx context.Context, stream string, share int, fs []string) (*lane, error) {
	kv, err := s.t.leases(ctx)
	if err != nil {
		return nil, err
	}
	name := driver.LaneOf(stream, share, s.c.Shares)
	l := &lane{
		s: s, name: name, stream: stream, share: share,
		d:     durable{t: s.t, stream: stream, group: s.c.Group, name: durableName(s.c.Group, share, s.c.Shares), filters: fs},
		nudge: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		gate: newGate(),
		lease: &lease{
			t: s.t, kv: kv, key: leaseKey(s.c.Group, name),
			owner: s.owner, member: s.c.Member, ttl: s.c.Lease,
			may: func() bool { return s.roster.mayTake(name) }, gen: s.roster.gen,
		},
	}
	if l.hints, err = l.lease.watch(l.nudge); err != nil {
		return nil, requestError("watch lease "+l.lease.key, err)
	}
	return l, nil
}

func (l *lane) close() { _ = l.hints.Unsubscribe() }

// run owns the lane as often as it can, until the source closes.
func (l *lane) run() {
	defer l.close()
	for l.lease.acquire(l.s.ctx, l.nudge, l.s.trouble) == nil {
		l.reign()
	}
}

// reign holds the lease until it is lost or the source closes.
func (l *lane) reign() {
	for again := true; again; {
		again = l.tenure(l.lease.epoch())
	}
}

// tenure is the time of one epoch. It reports whether the next epoch is this
// member's too, because only the stream changed.
func (l *lane) tenure(epoch uint64) (again bool) {
	ctx, end := context.WithCancelCause(l.s.ctx)
	work, stop := context.WithCancel(ctx)
	l.gate.set(false)
	var keeper sync.WaitGroup
	keeper.Go(func() { end(l.lease.keep(ctx, epoch, l.lift, l.s.trouble)) })
	keeper.Go(func() { l.s.untilMoved(work, l.name); stop() })
	assigned, err := l.own(work, epoch)
	moved := work.Err() != nil && ctx.Err() == nil
	stop()
	given := moved && (!assigned || l.drain(ctx, epoch))
	end(err)
	keeper.Wait()
	l.retire()
	if moved || l.s.ctx.Err() != nil {
		l.giveAway(epoch)
	}
	if assigned && !given && l.s.ctx.Err() == nil {
		l.s.send(l.s.ctx, driver.Event{Kind: driver.Lost, Lane: l.name, Epoch: epoch})
	}
	return errors.Is(err, errLogChanged) && l.s.ctx.Err() == nil
}

// drain asks who receives to finish with the lane, and waits one lease for it.
// The lease is kept meanwhile, so that the last commit counts.
func (l *lane) drain(ctx context.Context, epoch uint64) (done bool) {
	ctx, cancel := context.WithTimeout(ctx, l.s.c.Lease)
	defer cancel()
	finished := make(chan struct{})
	ev := driver.Event{Kind: driver.Draining, Lane: l.name, Epoch: epoch, Done: sync.OnceFunc(func() { close(finished) })}
	if !l.s.send(ctx, ev) {
		return false
	}
	select {
	case <-finished:
		return true
	case <-ctx.Done():
		return false
	}
}

// own takes up position and delivers, again and again, until ctx ends or the
// stream is another one.
func (l *lane) own(ctx context.Context, epoch uint64) (assigned bool, err error) {
	for ctx.Err() == nil {
		at, err := l.position(ctx, epoch)
		switch {
		case errors.Is(err, errLogChanged), errors.Is(err, driver.ErrFenced):
			if errors.Is(err, errLogChanged) {
				l.s.trouble(err)
			}
			return assigned, err
		case err != nil:
			if ctx.Err() == nil {
				l.s.trouble(fmt.Errorf("take up lane %s: %w", l.name, err))
			}
			pause(ctx, retryWait)
			continue
		}
		if !l.s.send(ctx, driver.Event{
			Kind: driver.Assigned, Lane: l.name, Epoch: epoch, From: at.from, Crashes: at.crashes, Started: at.started,
		}) {
			return assigned, ctx.Err()
		}
		assigned = true
		if at.first > at.from && !l.tellGap(ctx, epoch, span{at.from, at.first}) {
			return assigned, ctx.Err()
		}
		if err := l.deliver(ctx, epoch); err != nil && ctx.Err() == nil {
			l.s.t.log.Debug("nats: lane begins again from its floor", "lane", l.name, "group", l.s.c.Group, "reason", err)
		}
	}
	return assigned, ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// deliver hands records over until the puller stops or ctx ends.
func (l *lane) deliver(ctx context.Context, epoch uint64) error {
	l.mu.Lock()
	p := l.p
	l.mu.Unlock()
	tick := time.NewTicker(p.c.heartbeat)
	defer tick.Stop()
	for {
		l.mu.Lock()
		as, err := p.take()
		ds, holes := l.book(as)
		l.mu.Unlock()
		if err != nil {
			return err
		}
		if !l.handOver(ctx, epoch, ds, holes) {
			return ctx.Err()
		}
		p.handed()
		if len(as.records) > 0 {
			l.pass()
		}
		l.admit()
		if len(ds) > 0 {
			continue
		}
		select {
		case <-l.wake:
		case now := <-tick.C:
			p.check(now)
			l.settleAck(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// book notes records before they are handed over; those below the floor and
// those that came before are dropped. holes are positions that were passed over
// and may have held records for this lane. The l.mu lock is held.
func (l *lane) book(as arrivals) (ds []driver.Delivery, holes []span) {
	n := 0
	for i := range as.records {
		d := &as.records[i]
		m := mark{d.Pos, as.notes[i].seq, d.StoredAt}
		switch {
		case m.pos < l.floor:
			l.ackTo = later(l.ackTo, m)
			continue
		case m.pos < l.due:
			continue
		case m.pos > l.due && (l.whole || !as.notes[i].sure):
			holes = append(holes, span{l.due, m.pos})
		}
		l.due, l.last = m.pos+1, m
		if !l.holds(d) {
			if len(l.open) == 0 {
				l.ackTo = later(l.ackTo, m)
			}
			continue
		}
		l.open = append(l.open, m)
		if n < i {
			as.records[n] = *d
		}
		n++
	}
	return as.records[:n], holes
}

// holds reports whether a record belongs to the lane's share of the stream.
func (l *lane) holds(d *driver.Delivery) bool {
	c := &l.s.c
	return c.Shares == 1 || driver.ShareOf(c.KeyOf(d), c.Shares) == l.share
}

// pass notes that all that came so far was handed over.
func (l *lane) pass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed = l.due
}

func later(a, b mark) mark {
	if b.pos > a.pos {
		return b
	}
	return a
}

// handOver sends records as events, with the gaps between them.
func (l *lane) handOver(ctx context.Context, epoch uint64, ds []driver.Delivery, holes []span) bool {
	gaps, ok := l.gaps(ctx, holes)
	if !ok {
		return false
	}
	for len(ds) > 0 {
		if len(gaps) > 0 && gaps[0].to <= ds[0].Pos {
			if !l.tellGap(ctx, epoch, gaps[0]) {
				return false
			}
			gaps = gaps[1:]
			continue
		}
		n := eventSize(ds)
		for i := 1; i < n && len(gaps) > 0; i++ {
			if ds[i].Pos >= gaps[0].to {
				n = i
			}
		}
		if !l.gate.pass(ctx, l.s.events, driver.Event{Kind: driver.Records, Lane: l.name, Epoch: epoch, Records: ds[:n:n]}) {
			return false
		}
		ds = ds[n:]
	}
	return true
}

// eventSize is how many of the first records make one event.
func eventSize(ds []driver.Delivery) int {
	bytes := recordSize(&ds[0].Record)
	for n := 1; n < min(len(ds), eventRecords); n++ {
		if bytes += recordSize(&ds[n].Record); bytes > eventBytes {
			return n
		}
	}
	return min(len(ds), eventRecords)
}

func (l *lane) tellGap(ctx context.Context, epoch uint64, g span) bool {
	if mutant.On("reset-offset-silently") {
		return true
	}
	return l.s.send(ctx, driver.Event{Kind: driver.Gap, Lane: l.name, Epoch: epoch, From: g.from, To: g.to})
}

// admit lets the puller ask for as many records as the span leaves room for.
func (l *lane) admit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.p != nil {
		l.p.allow(l.s.c.MaxSpan - len(l.open))
	}
}

// interrupt makes a running delivery begin again from the floor, and a waiting
// lane look at the lease.
func (l *lane) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.p != nil {
		l.p.interrupt()
	}
	l.poke()
}

// poke makes a waiting lane look at the lease.
func (l *lane) poke() {
	select {
	case l.nudge <- struct{}{}:
	default:
	}
}
