package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const worldTopic = "ampy.dev.orders.v1.A"

// numbered makes records first to first+n of a key.
func numbered(key string, first, n int) []driver.Record {
	recs := make([]driver.Record, n)
	for i := range recs {
		v := key + "-" + strconv.Itoa(first+i)
		recs[i] = driver.Record{Topic: worldTopic, Key: key, ID: v, Value: []byte(v)}
	}
	return recs
}

// attempt publishes recs once.
func attempt(tr driver.Transport, recs []driver.Record) []driver.Outcome {
	out := make([]driver.Outcome, len(recs))
	var all sync.WaitGroup
	all.Add(len(recs))
	tr.Publish(recs, func(i int, o driver.Outcome) {
		out[i] = o
		all.Done()
	})
	all.Wait()
	return out
}

// persist publishes as the bus does: what is not stored is repeated, in order,
// with the same ID. It returns how often it had to.
func persist(ctx context.Context, tr driver.Transport, recs []driver.Record) (uncertain, repeats int, err error) {
	for {
		n := 0
		var failed error
		for _, o := range attempt(tr, recs) {
			if o.Err != nil {
				failed = o.Err
				break
			}
			n++
		}
		if recs = recs[n:]; len(recs) == 0 {
			return uncertain, repeats, nil
		}
		repeats++
		switch {
		case errors.Is(failed, driver.ErrUncertain):
			uncertain++
		case !errors.Is(failed, driver.ErrUnavailable):
			return uncertain, repeats, failed
		}
		if pause(ctx, 10*time.Millisecond); ctx.Err() != nil {
			return uncertain, repeats, fmt.Errorf("%w; the last attempt: %w", ctx.Err(), failed)
		}
	}
}

// split takes a value apart into its key and number.
func split(value string) (key string, n int) {
	i := strings.LastIndexByte(value, '-')
	n, _ = strconv.Atoi(value[i+1:])
	return value[:i], n
}

// ledger is a store of effects that fences by lane and epoch, as a database
// with an inbox does. It notes what must never happen.
type ledger struct {
	t  testing.TB
	mu sync.Mutex

	lanes   map[string]*entry
	keys    map[string]int // the next number due
	effects int
	fenced  int
	again   int
}

type entry struct{ epoch, next, committed uint64 }

func newLedger(t testing.TB) *ledger {
	return &ledger{t: t, lanes: make(map[string]*entry), keys: make(map[string]int)}
}

func (l *ledger) lane(name string) *entry {
	e := l.lanes[name]
	if e == nil {
		e = &entry{}
		l.lanes[name] = e
	}
	return e
}

// apply is the effect of one record; false when a later owner is there.
func (l *ledger) apply(lane string, epoch uint64, d *driver.Delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.lane(lane)
	switch {
	case epoch < e.epoch:
		l.fenced++
		return false
	case d.Pos < e.next:
		e.epoch = epoch
		l.again++
		return true
	}
	e.epoch, e.next = epoch, d.Pos+1
	key, n := split(string(d.Value))
	if due := l.keys[key]; n != due {
		l.t.Errorf("key %s: number %d where %d was due, at %s", key, n, due, d.Origin())
	}
	l.keys[key] = n + 1
	l.effects++
	return true
}

// committed notes a commit that the broker accepted.
func (l *ledger) committed(lane string, low uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.lane(lane)
	if low > e.next {
		l.t.Errorf("lane %s is committed below %d, beyond what is done: %d", lane, low, e.next)
	}
	e.committed = max(e.committed, low)
}

// assigned checks where an owner begins.
func (l *ledger) assigned(ev driver.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.lane(ev.Lane); ev.From < e.committed {
		l.t.Errorf("lane %s begins at %d, below the commit of %d", ev.Lane, ev.From, e.committed)
	}
}

func (l *ledger) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.effects
}
