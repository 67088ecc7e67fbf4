package natsbinding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// leaseBucket holds one entry per group and lane. The entry is both the lease
// and the group's position: a member that lost the lease cannot write the
// position any more, which makes a commit a true fence. It also holds the
// groups' rosters.
const leaseBucket = "ampy_leases"

// leaseEntry is the value of a key. Its revision changes with every renewal.
type leaseEntry struct {
	Owner  string    `json:"owner"`  // a process's own id; empty: nobody
	Member string    `json:"member"` // for humans
	Epoch  uint64    `json:"epoch"`  // grows with every change of owner
	Floor  uint64    `json:"floor"`  // every position below is finished; 0: not known yet
	Born   time.Time `json:"born"`   // when the stream was made: positions of another one are worthless
	// Last is the newest finished record that was delivered, At when it was
	// stored: by these a stream that lost its end is known again.
	Last  uint64    `json:"last,omitempty"`
	At    time.Time `json:"at,omitzero"`
	TTLms int64     `json:"ttl_ms"` // how long the owner may stay silent
	// Crashes counts owners in a row that let the lease run out while the floor
	// stood still; Started is the position that the last one was handling.
	Crashes int    `json:"crashes,omitempty"`
	Started uint64 `json:"started,omitempty"`
	// Gen is the generation of the group's division into shares that the lane
	// belongs to; Closed, that it has ended: see rosterEntry.
	Gen    uint64 `json:"gen,omitempty"`
	Closed bool   `json:"closed,omitempty"`
}

func (e leaseEntry) ttl() time.Duration { return time.Duration(e.TTLms) * time.Millisecond }

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

// leaseKey is a legal key for a group, whose name is plain, and any lane.
func leaseKey(group, lane string) string {
	key := []byte(group + ".")
	for i := range len(lane) {
		switch c := lane[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
			key = append(key, c)
		default:
			key = fmt.Appendf(key, "=%02X", c)
		}
	}
	return string(key)
}

func leaseSubject(key string) string { return "$KV." + leaseBucket + "." + key }

// leases opens the bucket, making it on first use.
func (t *Transport) leases(ctx context.Context) (jetstream.KeyValue, error) {
	var kv jetstream.KeyValue
	err := t.guard(ctx, "$JS.API.STREAM.", func(ctx context.Context) (err error) {
		if kv, err = t.js.KeyValue(ctx, leaseBucket); !errors.Is(err, jetstream.ErrBucketNotFound) {
			return err
		}
		kv, err = t.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: leaseBucket, Description: "ampy-bus: owners and positions of groups",
			History: 1, Storage: jetstream.FileStorage, Replicas: t.replicas(3), Metadata: madeBy,
		})
		if errors.Is(err, jetstream.ErrBucketExists) {
			kv, err = t.js.KeyValue(ctx, leaseBucket)
		}
		return err
	})
	if errors.Is(err, driver.ErrPermission) {
		err = fmt.Errorf("%w (an administrator makes it with: nats kv add %s)", err, leaseBucket)
	}
	return kv, requestError("open the lease bucket "+leaseBucket, err)
}

// read fetches the entry. A missing one is the zero entry at revision 0.
func (l *lease) read(ctx context.Context) (leaseEntry, uint64, error) {
	return l.t.readLease(ctx, l.kv, l.key)
}

func (t *Transport) readLease(ctx context.Context, kv jetstream.KeyValue, key string) (e leaseEntry, rev uint64, err error) {
	rev, err = t.readEntry(ctx, kv, key, &e)
	return e, rev, err
}

// readEntry fetches an entry of the bucket into e, which must be zero. A
// missing one leaves it so, at revision 0.
func (t *Transport) readEntry(ctx context.Context, kv jetstream.KeyValue, key string, e any) (rev uint64, err error) {
	var v jetstream.KeyValueEntry
	err = t.guard(ctx, "$JS.API.", func(ctx context.Context) (err error) {
		v, err = kv.Get(ctx, key)
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrKeyDeleted) {
		return 0, nil
	}
	if err != nil {
		return 0, requestError("read lease "+key, err)
	}
	if err := json.Unmarshal(v.Value(), e); err != nil {
		return 0, fmt.Errorf("read lease %s: %w: not an entry of ours: delete it to begin at the durable's position", key, err)
	}
	return v.Revision(), nil
}

// write stores the entry if nobody else wrote since rev. conflict means that
// somebody did.
func (l *lease) write(ctx context.Context, e leaseEntry, rev uint64) (newRev uint64, conflict bool, err error) {
	return l.t.writeEntry(ctx, l.kv, l.key, e, rev)
}

func (t *Transport) writeEntry(ctx context.Context, kv jetstream.KeyValue, key string, e any, rev uint64) (newRev uint64, conflict bool, err error) {
	value, err := json.Marshal(e)
	if err != nil {
		return 0, false, err
	}
	err = t.guard(ctx, leaseSubject(key), func(ctx context.Context) (err error) {
		if rev == 0 {
			newRev, err = kv.Create(ctx, key, value)
		} else {
			newRev, err = kv.Update(ctx, key, value, rev)
		}
		return err
	})
	if err != nil && isWrongRevision(err) {
		return 0, true, nil
	}
	return newRev, false, requestError("write lease "+key, err)
}

func isWrongRevision(err error) bool {
	const wrongLastSequence, wrongLastSequenceReplicated = 10071, 10164
	return errors.Is(err, jetstream.ErrKeyExists) || hasCode(err, wrongLastSequence) || hasCode(err, wrongLastSequenceReplicated)
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
