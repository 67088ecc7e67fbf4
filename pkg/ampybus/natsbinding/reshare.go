package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// join puts the member on the roster. If the group divides its logs by another
// number it is refused while a member lives; else positions move over first:
// the old lanes are closed for good, and the new ones begin at the smallest
// position of a stream's old ones. Whoever dies on the way is followed by the
// next member that asks for the same number.
func (r *roster) join(ctx context.Context) error {
	for {
		e, rev, err := r.read(ctx)
		if err != nil {
			return err
		}
		if rev == 0 {
			e.Shares = 1
		}
		switch {
		case e.Shares == r.shares && e.Was == 0:
			r.accept(e, time.Time{})
			return r.step(ctx, true)
		case e.Shares == r.shares:
			if err := r.move(ctx, &e); err != nil {
				return fmt.Errorf("divide logs by %d instead of %d: %w", e.Shares, e.Was, err)
			}
			e.Was = 0
		case e.Was != 0:
			return fmt.Errorf("%w: Shares: group %s is about to divide each log by %d, not %d: start a member with %d first, then change it",
				driver.ErrConfig, r.group, e.Shares, r.shares, e.Shares)
		default:
			wait, err := r.vacant(&e)
			if err != nil {
				return err
			}
			if wait > 0 {
				r.await(ctx, wait)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				continue
			}
			e = rosterEntry{Shares: r.shares, Was: e.Shares, Gen: e.Gen + 1}
		}
		if _, _, err := r.t.writeEntry(ctx, r.kv, r.key, e, rev); err != nil {
			return err
		}
	}
}

// vacant reports how long to wait until all members listed have been silent for
// too long, or that one is not.
func (r *roster) vacant(e *rosterEntry) (wait time.Duration, err error) {
	now := time.Now()
	for i := range e.Members {
		m := &e.Members[i]
		r.mu.Lock()
		alive := r.seen[m.ID].moved
		r.mu.Unlock()
		if alive {
			return 0, driver.OtherShares(r.group, e.Shares, r.shares)
		}
		wait = max(wait, r.left(m, now))
	}
	return wait, nil
}

func (r *roster) await(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(min(d, r.self.ttl()/3))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.kick:
	case <-ctx.Done():
	}
}

// move brings the positions of all streams over.
func (r *roster) move(ctx context.Context, e *rosterEntry) error {
	infos, err := r.t.overlapping(ctx, r.pattern)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(infos))
	for i, info := range infos {
		wg.Go(func() { errs[i] = r.moveStream(ctx, info.Config.Name, e) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stance is a lane's position, if it has one.
type stance struct {
	floor uint64
	born  time.Time
}

func (r *roster) moveStream(ctx context.Context, stream string, e *rosterEntry) error {
	var wg sync.WaitGroup
	old, errs := make([]stance, e.Was), make([]error, e.Was)
	for k := range e.Was { // at once: each may have to wait for its lease to end
		wg.Go(func() { old[k], errs[k] = r.closeLane(ctx, stream, driver.LaneOf(stream, k, e.Was), e.Gen) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	at := lowest(old)
	for k := range e.Shares {
		if err := r.openLane(ctx, driver.LaneOf(stream, k, e.Shares), at, e.Gen); err != nil {
			return err
		}
	}
	for k := range e.Was {
		r.t.deleteDurable(ctx, stream, durableName(r.group, k, e.Was))
	}
	return nil
}

// lowest is the smallest of the positions that are known. Positions of streams
// made at different times are no positions of one: then it is the beginning.
func lowest(all []stance) stance {
	var low stance
	for _, s := range all {
		switch {
		case s.floor == 0:
		case low.floor == 0:
			low = s
		case !s.born.Equal(low.born):
			low = stance{1, maxTime(s.born, low.born)}
		default:
			low.floor = min(low.floor, s.floor)
		}
	}
	return low
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// closeLane makes an old lane one that nobody can own or commit any more, once
// its lease has ended, and returns its position.
func (r *roster) closeLane(ctx context.Context, stream, lane string, gen uint64) (stance, error) {
	l := &lease{t: r.t, kv: r.kv, key: leaseKey(r.group, lane)}
	var seen uint64
	var since time.Time
	for {
		e, rev, err := l.read(ctx)
		if err != nil {
			return stance{}, err
		}
		if e.Closed && e.Gen == gen {
			return stance{e.Floor, e.Born}, nil
		}
		now := time.Now()
		if rev != seen || since.IsZero() {
			seen, since = rev, now
		}
		if left := since.Add(e.ttl()).Sub(now); e.Owner != "" && left > 0 {
			if pause(ctx, min(left, r.self.ttl()/3)); ctx.Err() != nil {
				return stance{}, ctx.Err()
			}
			continue
		}
		if e.Floor == 0 {
			if e.Floor, e.Born, err = r.durableFloor(ctx, stream, lane); err != nil {
				return stance{}, err
			}
		}
		e.Closed, e.Gen, e.Owner, e.Member = true, gen, "", ""
		e.Epoch = nextEpoch(e.Epoch)
		if _, conflict, err := l.write(ctx, e, rev); err != nil {
			return stance{}, err
		} else if !conflict {
			return stance{e.Floor, e.Born}, nil
		}
	}
}

// durableFloor is where a lane begins that no member has owned yet; 0 if there
// is none.
func (r *roster) durableFloor(ctx context.Context, stream, lane string) (uint64, time.Time, error) {
	_, share, shares := driver.CutLane(lane)
	info, err := r.t.consumerInfo(ctx, stream, durableName(r.group, share, shares))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, requestError("read durable of lane "+lane, err)
	}
	s, err := r.t.streamInfo(ctx, stream)
	if err != nil {
		return 0, time.Time{}, err
	}
	return floorOf(info), s.Created, nil
}

// openLane gives a new lane its position. A lane that nobody had a position for
// is left to begin as a new group's does.
func (r *roster) openLane(ctx context.Context, lane string, at stance, gen uint64) error {
	l := &lease{t: r.t, kv: r.kv, key: leaseKey(r.group, lane)}
	for {
		e, rev, err := l.read(ctx)
		if err != nil {
			return err
		}
		if e.Gen == gen && rev != 0 || rev == 0 && at.floor == 0 {
			return nil
		}
		next := leaseEntry{Epoch: e.Epoch, Gen: gen, Floor: at.floor, Born: at.born}
		if _, conflict, err := l.write(ctx, next, rev); err != nil || !conflict {
			return err
		}
	}
}
