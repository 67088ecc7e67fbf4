package natsbinding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/deal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// rosterEntry is what a group's members agree on: how logs are divided, who is
// there, and who should own which lane. It is an entry of the lease bucket,
// changed by compare-and-set. It decides nothing but who tries to take a lane:
// who owns it is the lease's word.
type rosterEntry struct {
	Shares  int            `json:"shares"`        // lanes of a stream
	Gen     uint64         `json:"gen"`           // grows whenever Shares changes
	Was     int            `json:"was,omitempty"` // Shares before, while positions still move over
	Members []rosterMember `json:"members,omitempty"`
	Plan    deal.Plan      `json:"plan,omitempty"` // lane to member
}

// rosterMember is silent when its Beat stands still for its time-to-live, by
// the watch of whoever looks.
type rosterMember struct {
	ID    string `json:"id"`
	Name  string `json:"name"` // for humans
	Beat  uint64 `json:"beat"`
	TTLms int64  `json:"ttl_ms"`
}

func (m rosterMember) ttl() time.Duration { return time.Duration(m.TTLms) * time.Millisecond }

func (e *rosterEntry) ids() []string {
	ids := make([]string, len(e.Members))
	for i := range e.Members {
		ids[i] = e.Members[i].ID
	}
	return ids
}

// sighting is when a member's beat was last seen to change; moved, that it was.
type sighting struct {
	beat  uint64
	at    time.Time
	moved bool
}

// roster is one member's view of its group's entry.
type roster struct {
	t       *Transport
	kv      jetstream.KeyValue
	key     string
	group   string
	pattern string
	self    rosterMember
	shares  int
	lanes   func() []string // that this member knows of
	told    func()          // the plan may have changed
	hints   *nats.Subscription
	kick    chan struct{} // something to do or to look at

	mu     sync.Mutex
	entry  rosterEntry
	beat   uint64
	beaten time.Time // when the last beat that was written was sent
	blind  bool      // the entry could not be read or written for a while
	echo   int       // looks to come soon: a write may not be stored yet when it passes by
	seen   map[string]sighting
	joined bool
}

// rosterKey cannot be a lane's: leaseKey spells '=' in stream names as =3D.
func rosterKey(group string) string { return group + ".=roster" }

func (s *source) newRoster(kv jetstream.KeyValue) (*roster, error) {
	r := &roster{
		t: s.t, kv: kv, key: rosterKey(s.c.Group), group: s.c.Group, pattern: s.c.Pattern,
		self:   rosterMember{ID: s.owner, Name: s.c.Member, TTLms: s.c.Lease.Milliseconds()},
		shares: s.c.Shares, lanes: s.laneNames, told: s.newPlan,
		kick: make(chan struct{}, 1), seen: make(map[string]sighting),
	}
	var err error
	r.hints, err = s.t.nc.Subscribe(leaseSubject(r.key), r.overhear)
	return r, requestError("watch roster "+r.key, err)
}

// planned reports whether the plan gives a lane to this member.
func (r *roster) planned(lane string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entry.Plan[lane] == r.self.ID
}

// mayTake is planned, and that the plan is not out of date: others may have
// gone on without a member that was not heard of for its time-to-live.
func (r *roster) mayTake(lane string) bool {
	return r.planned(lane) && r.fresh(time.Now())
}

func (r *roster) fresh(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.beaten.Add(safety(r.self.ttl())))
}

func (r *roster) gen() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entry.Gen
}

// overhear sees writes pass by, also those that are refused: signs of life, and
// a hint to look where something else is new.
func (r *roster) overhear(m *nats.Msg) {
	var e rosterEntry
	if json.Unmarshal(m.Data, &e) != nil {
		e = rosterEntry{}
	}
	r.mu.Lock()
	r.sight(&e, time.Now())
	same := r.joined && e.Gen == r.entry.Gen && maps.Equal(e.Plan, r.entry.Plan) && slices.Equal(e.ids(), r.entry.ids())
	if !same {
		r.echo = echoes
	}
	r.mu.Unlock()
	if !same {
		r.look()
	}
}

func (r *roster) look() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// sight notes whose beat has moved. The lock is held.
func (r *roster) sight(e *rosterEntry, now time.Time) {
	for i := range e.Members {
		m := &e.Members[i]
		was, known := r.seen[m.ID]
		if !known || was.beat < m.Beat {
			r.seen[m.ID] = sighting{m.Beat, now, known}
		}
	}
}

// observe takes in what was read. After a time without the broker nobody could
// be heard, so all get their time again.
func (r *roster) observe(e *rosterEntry, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blind {
		for id, s := range r.seen {
			s.at = now
			r.seen[id] = s
		}
	}
	r.blind = false
	r.sight(e, now)
}

// interrupt is told that the broker was away.
func (r *roster) interrupt() {
	r.mu.Lock()
	r.blind = true
	r.mu.Unlock()
	r.look()
}

// left is how long a member may still stay silent.
func (r *roster) left(m *rosterMember, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[m.ID].at.Add(m.ttl()).Sub(now)
}

func (r *roster) read(ctx context.Context) (rosterEntry, uint64, error) {
	var e rosterEntry
	rev, err := r.t.readEntry(ctx, r.kv, r.key, &e)
	if err == nil {
		r.observe(&e, time.Now())
	}
	return e, rev, err
}

// revised is the entry as it should be: with this member, without silent ones,
// and with all lanes dealt. due asks for a beat.
func (r *roster) revised(e rosterEntry, due bool, now time.Time) (next rosterEntry, changed bool) {
	next = e
	if e.Shares == 0 { // the entry is new, or was lost
		next.Shares, next.Gen = r.shares, r.gen()
	}
	next.Members = slices.DeleteFunc(slices.Clone(e.Members), func(m rosterMember) bool {
		return m.ID != r.self.ID && r.left(&m, now) <= 0
	})
	i := slices.IndexFunc(next.Members, func(m rosterMember) bool { return m.ID == r.self.ID })
	if i < 0 {
		i, due = len(next.Members), true
		next.Members = append(next.Members, r.self)
	}
	if due {
		next.Members[i].Beat = r.nextBeat()
	}
	lanes := slices.AppendSeq(r.lanes(), maps.Keys(e.Plan))
	next.Plan = deal.Lanes(next.ids(), lanes, e.Plan)
	return next, due || len(next.Members) != len(e.Members) || !maps.Equal(next.Plan, e.Plan)
}

func (r *roster) nextBeat() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.beat++
	return r.beat
}

// contenders bounds the attempts to write where others write too: each refusal
// means that somebody else succeeded.
const contenders = 32

var errContended = errors.New("others keep writing it")

// step brings the entry and this member's view of it up to date.
func (r *roster) step(ctx context.Context, due bool) error {
	for range contenders {
		e, rev, err := r.read(ctx)
		if err != nil {
			return err
		}
		if e.Shares != 0 && e.Shares != r.shares || e.Was != 0 {
			return driver.OtherShares(r.group, e.Shares, r.shares)
		}
		now := time.Now()
		next, changed := r.revised(e, due, now)
		if !changed {
			r.accept(next, time.Time{})
			return nil
		}
		_, conflict, err := r.t.writeEntry(ctx, r.kv, r.key, next, rev)
		if err != nil {
			return err
		}
		if !conflict {
			r.accept(next, now)
			return nil
		}
	}
	return fmt.Errorf("write roster %s: %w: %w", r.key, driver.ErrUnavailable, errContended)
}

// accept makes e the view to act by.
func (r *roster) accept(e rosterEntry, beaten time.Time) {
	r.mu.Lock()
	r.entry, r.joined = e, true
	if !beaten.IsZero() {
		r.beaten = beaten
	}
	for id := range r.seen {
		if !slices.ContainsFunc(e.Members, func(m rosterMember) bool { return m.ID == id }) {
			delete(r.seen, id)
		}
	}
	r.mu.Unlock()
	r.told()
}

// run keeps the member on the roster until ctx ends, or the group goes on
// without it for good.
func (r *roster) run(ctx context.Context, trouble, fail func(error)) {
	wait := time.Duration(0)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.kick:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
		err := r.step(ctx, r.due(time.Now()))
		switch {
		case err == nil:
			wait = r.untilNext(time.Now())
		case errors.Is(err, driver.ErrConfig):
			fail(err)
			return
		default:
			trouble(err)
			r.mu.Lock()
			r.blind = true
			r.mu.Unlock()
			wait = r.self.ttl() / 20
		}
	}
}

func (r *roster) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !now.Before(r.beaten.Add(r.self.ttl() / 3))
}

// untilNext is the time to the next beat, to when somebody was silent for too
// long, or to the echo of a hint.
func (r *roster) untilNext(now time.Time) time.Duration {
	r.mu.Lock()
	e, next := r.entry, r.beaten.Add(r.self.ttl()/3).Sub(now)
	if r.echo > 0 {
		next = min(next, echoWait)
		r.echo--
	}
	r.mu.Unlock()
	for i := range e.Members {
		if m := &e.Members[i]; m.ID != r.self.ID {
			next = min(next, r.left(m, now))
		}
	}
	return max(next, time.Millisecond)
}

// leave takes the member off, so that others need not wait for its silence.
func (r *roster) leave(ctx context.Context) error {
	for range contenders {
		e, rev, err := r.read(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(e.Members, func(m rosterMember) bool { return m.ID == r.self.ID })
		if i < 0 {
			return nil
		}
		e.Members = slices.Delete(e.Members, i, i+1)
		e.Plan = deal.Lanes(e.ids(), slices.Collect(maps.Keys(e.Plan)), e.Plan)
		if _, conflict, err := r.t.writeEntry(ctx, r.kv, r.key, e, rev); err != nil || !conflict {
			return err
		}
	}
	return errContended
}

func (r *roster) close() { _ = r.hints.Unsubscribe() }
