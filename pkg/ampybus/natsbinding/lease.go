package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// lease is one member's view of one entry.
type lease struct {
	t      *Transport
	kv     jetstream.KeyValue
	key    string
	owner  string
	member string
	ttl    time.Duration
	may    func() bool   // the lane is this member's to take; nil: always
	gen    func() uint64 // generation of the group; nil: 0

	mu     sync.Mutex
	entry  leaseEntry
	rev    uint64
	until  time.Time // this member owns the lane until then, by its own clock
	held   bool
	unsure bool // a write had no answer: the entry must be read first
}

// safety is the part of the TTL that an owner uses. Others wait for all of it:
// clocks that run at slightly different speed, and the time between looking at
// the clock and acting, must fit in between.
func safety(ttl time.Duration) time.Duration { return ttl * 4 / 5 }

// read fetches the entry. A missing one is the zero entry at revision 0.
func (l *lease) read(ctx context.Context) (leaseEntry, uint64, error) {
	return l.t.readLease(ctx, l.kv, l.key)
}

// write stores the entry if nobody else wrote since rev. conflict means that
// somebody did.
func (l *lease) write(ctx context.Context, e leaseEntry, rev uint64) (newRev uint64, conflict bool, err error) {
	return l.t.writeEntry(ctx, l.kv, l.key, e, rev)
}

// acquire waits until this member owns the lane. nudge wakes it when the entry
// may have changed.
func (l *lease) acquire(ctx context.Context, nudge <-chan struct{}, trouble func(error)) error {
	var seen uint64 // the revision watched, and since when
	var since time.Time
	echo := 0 // looks to come soon: a hint may arrive before what it hints at
	for {
		e, rev, err := l.read(ctx)
		wait := l.ttl / 3
		if echo > 0 && l.mine() {
			wait = min(wait, echoWait)
		}
		echo--
		switch {
		case err != nil:
			trouble(err)
		default:
			now := time.Now()
			if rev != seen || since.IsZero() {
				seen, since = rev, now
			}
			left := since.Add(e.ttl()).Sub(now)
			if (e.Owner == "" || left <= 0) && l.mayTake(e, rev) {
				ok, err := l.take(ctx, e, rev)
				if ok {
					return nil
				}
				if err != nil {
					trouble(err)
				} else {
					continue // somebody was faster: look again
				}
			}
			if e.Owner != "" && left > 0 {
				wait = min(wait, left)
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-nudge:
			echo = echoes
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// A write passes by its watchers before the stream has stored it: who looks at
// once may see what was before, so looks again.
const (
	echoes   = 3
	echoWait = 30 * time.Millisecond
)

// mayTake reports whether a lane that nobody owns is this member's, and one of
// the group as it is divided now.
func (l *lease) mayTake(e leaseEntry, rev uint64) bool {
	return !e.Closed && (rev == 0 || e.Gen == l.generation()) && l.mine()
}

func (l *lease) mine() bool { return l.may == nil || l.may() }

func (l *lease) generation() uint64 {
	if l.gen == nil {
		return 0
	}
	return l.gen()
}

// nextEpoch is greater than all epochs before: milliseconds grow even if the
// bucket was lost with the last one.
func nextEpoch(epoch uint64) uint64 {
	if epoch == 0 {
		return uint64(time.Now().UnixMilli())
	}
	return epoch + 1
}

// take makes this member the owner if the entry is still the one read.
func (l *lease) take(ctx context.Context, e leaseEntry, rev uint64) (bool, error) {
	e.Epoch, e.Gen = nextEpoch(e.Epoch), l.generation()
	switch e.Owner {
	case "":
		e.Crashes, e.Started = 0, 0
	case l.owner: // its own lease had run out
	default:
		e.Crashes++
	}
	e.Owner, e.Member, e.TTLms = l.owner, l.member, l.ttl.Milliseconds()
	sent := time.Now()
	newRev, conflict, err := l.write(ctx, e, rev)
	if err != nil || conflict {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entry, l.rev, l.held, l.unsure = e, newRev, true, false
	l.until = sent.Add(safety(l.ttl))
	return true, nil
}

// epoch is the epoch of the current tenure.
func (l *lease) epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entry.Epoch
}

func (l *lease) current() leaseEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entry
}

// left is how long this member may still act as the owner.
func (l *lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		return 0
	}
	return time.Until(l.until)
}

// update changes the entry and renews the lease with the same write. It
// returns driver.ErrFenced once another member owns the lane, or may.
func (l *lease) update(ctx context.Context, epoch uint64, change func(*leaseEntry)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fenceless() {
		return l.force(ctx, change)
	}
	if !l.held || !time.Now().Before(l.until) {
		l.held = false
		return driver.ErrFenced
	}
	if l.entry.Epoch != epoch {
		return driver.ErrFenced
	}
	// No longer than the lease lasts: its end must be noticed in time.
	ctx, cancel := context.WithDeadline(ctx, l.until)
	defer cancel()
	if l.unsure {
		if err := l.reload(ctx); err != nil {
			return err
		}
	}
	e := l.entry
	change(&e)
	sent := time.Now()
	rev, conflict, err := l.write(ctx, e, l.rev)
	if err == nil && conflict {
		// Perhaps it was our own write whose answer got lost.
		if err = l.reload(ctx); err == nil {
			e = l.entry
			change(&e)
			sent = time.Now()
			if rev, conflict, err = l.write(ctx, e, l.rev); conflict {
				l.held = false
				return driver.ErrFenced
			}
		}
	}
	if err != nil {
		l.unsure = l.unsure || !errors.Is(err, driver.ErrFenced)
		return err
	}
	l.entry, l.rev = e, rev
	l.until = sent.Add(safety(l.ttl))
	return nil
}

// fenceless is the mutant no-fence-commit.
func fenceless() bool { return mutant.On("no-fence-commit") }

// reload learns the revision after a write without an answer. The lock is held.
func (l *lease) reload(ctx context.Context) error {
	e, rev, err := l.read(ctx)
	if err != nil {
		return err
	}
	if e.Owner != l.owner || e.Epoch != l.entry.Epoch {
		l.held = false
		return driver.ErrFenced
	}
	l.entry, l.rev, l.unsure = e, rev, false
	return nil
}

// force is the mutant no-fence-commit: whoever writes last wins.
func (l *lease) force(ctx context.Context, change func(*leaseEntry)) error {
	e, rev, err := l.read(ctx)
	if err != nil {
		return err
	}
	change(&e)
	_, _, err = l.write(ctx, e, rev)
	return err
}

// keep renews until the lease is lost or ctx ends; then it returns why. lift
// may raise the floor with a renewal.
func (l *lease) keep(ctx context.Context, epoch uint64, lift func(*leaseEntry), trouble func(error)) error {
	for wait := l.ttl / 3; ; {
		timer := time.NewTimer(min(wait, max(l.left(), 0)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		if l.left() <= 0 {
			l.drop()
			return fmt.Errorf("%w: the lease was not renewed in time", driver.ErrFenced)
		}
		renew, cancel := context.WithTimeout(ctx, max(l.left(), time.Millisecond))
		err := l.update(renew, epoch, lift)
		cancel()
		switch {
		case err == nil:
			wait = l.ttl / 3
		case errors.Is(err, driver.ErrFenced):
			return err
		default:
			trouble(err)
			wait = l.ttl / 20
		}
	}
}

func (l *lease) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
}

// release gives the lane away, so that others need not wait for the TTL.
func (l *lease) release(ctx context.Context, epoch uint64) error {
	err := l.update(ctx, epoch, func(e *leaseEntry) { e.Owner, e.Member = "", "" })
	l.drop()
	if errors.Is(err, driver.ErrFenced) {
		return nil // it is given away already
	}
	return err
}

// watch reports writes to the entry as they pass by, also those that are
// refused: a hint to look, nothing more.
func (l *lease) watch(nudge chan<- struct{}) (*nats.Subscription, error) {
	return l.t.nc.Subscribe(leaseSubject(l.key), func(*nats.Msg) {
		select {
		case nudge <- struct{}{}:
		default:
		}
	})
}
