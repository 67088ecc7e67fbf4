package drivertest

import (
	"sync"
	"testing"
)

// rota notes which member of which group owned a lane at which epoch, and
// holds the rules of ownership in every test that has members.
type rota struct {
	t  testing.TB
	mu sync.Mutex

	owners    map[tenure]*member
	committed map[post]mark
}

// post is one lane of one group.
type post struct{ group, lane string }

// tenure is the time in which one member holds a post.
type tenure struct {
	post
	epoch uint64
}

// mark is the highest commit of a post, and the epoch that made it.
type mark struct{ epoch, low uint64 }

func newRota(t testing.TB) *rota {
	return &rota{t: t, owners: make(map[tenure]*member), committed: make(map[post]mark)}
}

// assigned checks that an epoch has one owner, and that a new owner begins
// where an earlier one committed.
func (r *rota) assigned(m *member, p post, epoch, from uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := tenure{p, epoch}
	if other := r.owners[at]; other != nil && other != m {
		r.t.Errorf("lane %s has two owners at epoch %d: %s and %s", p.lane, epoch, other.name, m.name)
	}
	r.owners[at] = m
	if c := r.committed[p]; epoch > c.epoch && from < c.low {
		r.t.Errorf("lane %s begins at %d for %s, below the commit of %d", p.lane, from, m.name, c.low)
	}
}

func (r *rota) commit(p post, epoch, low uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if low > r.committed[p].low {
		r.committed[p] = mark{epoch, low}
	}
}
