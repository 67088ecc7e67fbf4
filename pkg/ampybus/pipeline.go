package ampybus

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/backoff"
	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// pipeline hands records to the driver so that one key's records are stored in
// order through every fault: a key has at most one unsettled batch, and what
// arrives meanwhile becomes its next one. Other keys flow.
type pipeline struct {
	t      driver.Transport
	seed   maphash.Seed
	shards [pipelineShards]pipelineShard
	budget *budget
	// settled is told the last word on each record.
	settled func(*pending, driver.Outcome)

	stop context.Context // ends when close gives up waiting
	quit context.CancelFunc
}

// pipelineShards spreads lock contention; a power of two.
const pipelineShards = 64

// A batch may be one atomic write at the driver: these bounds keep it well
// under what brokers accept in one.
const (
	maxBatchRecords = 256
	maxBatchBytes   = 512 << 10
)

type pipelineShard struct {
	mu   sync.Mutex
	keys map[string]*keyQueue
	idle []*keyQueue         // for keys to come
	shut map[string]struct{} // keys with a chained record that was refused
}

// keyQueue is what one key still has to send. It exists while it is not empty.
type keyQueue struct {
	key     string
	pending []*pending
	busy    bool // a batch is unsettled, or waits for its next attempt
}

// pending is one record on its way.
type pending struct {
	rec      driver.Record
	id       string // message_id, for errors
	producer string
	size     int
	started  time.Time
	deadline time.Time
	attempts int
	maybe    bool                        // an earlier attempt was uncertain
	strict   bool                        // a duplicate acknowledgement is a failure
	alone    bool                        // goes without others: where it is stored, and whether it was before, must be told
	chained  bool                        // when it is refused, nothing that follows it in its key is stored
	done     func(error)                 // the caller's: this one
	told     func(driver.Outcome, error) // or this one

	// state is guarded by the shard's lock.
	state pendingState
}

type pendingState uint8

const (
	pendingQueued pendingState = iota
	pendingSent
	pendingWithdrawn
)

// errDuplicate reports that the broker held another record under the id.
var errDuplicate = errors.New("the broker already holds a record with this publish id and stored nothing")

func newPipeline(t driver.Transport, maxItems, maxBytes int, settled func(*pending, driver.Outcome)) *pipeline {
	p := &pipeline{t: t, seed: maphash.MakeSeed(), budget: newBudget(maxItems, maxBytes), settled: settled}
	for i := range p.shards {
		p.shards[i].keys = make(map[string]*keyQueue)
	}
	p.stop, p.quit = context.WithCancel(context.Background())
	return p
}

func (p *pipeline) shard(key string) *pipelineShard {
	return &p.shards[maphash.String(p.seed, key)&(pipelineShards-1)]
}

// submit queues one record. The caller holds its share of the budget, which
// settling gives back.
func (p *pipeline) submit(r *pending) {
	s := p.shard(r.rec.Key)
	s.mu.Lock()
	q, idle := s.enqueue(r)
	if !idle {
		s.mu.Unlock()
		return
	}
	f := p.take(s, q)
	s.mu.Unlock()
	p.send(f)
}

// enqueue adds r to its key's queue, and reports whether nobody sends that. The
// lock is held.
func (s *pipelineShard) enqueue(r *pending) (q *keyQueue, idle bool) {
	q = s.queue(r.rec.Key)
	q.pending = append(q.pending, r)
	return q, !q.busy || mutant.On("async-pipeline-per-key")
}

// withdraw takes r back if no attempt has been made, and reports whether it did.
func (p *pipeline) withdraw(r *pending) bool {
	s := p.shard(r.rec.Key)
	s.mu.Lock()
	ok := r.state == pendingQueued && r.attempts == 0
	if ok {
		r.state = pendingWithdrawn
	}
	s.mu.Unlock()
	if ok {
		p.budget.release(r.size)
	}
	return ok
}

// take makes a flight of the key's next batch; nil forgets the idle key. The
// lock is held.
func (p *pipeline) take(s *pipelineShard, q *keyQueue) *flight {
	f := &flight{p: p, s: s, q: q}
	f.batch = f.oneBatch[:0]
	if len(q.pending) > 1 {
		f.batch = make([]*pending, 0, min(len(q.pending), maxBatchRecords))
	}
	n, bytes := 0, 0
	for _, r := range q.pending {
		if f.full(r, bytes) {
			break
		}
		n++
		if r.state == pendingWithdrawn {
			continue
		}
		r.state = pendingSent
		bytes += r.size
		f.batch = append(f.batch, r)
	}
	q.drop(n)
	q.busy = len(f.batch) > 0
	if !q.busy {
		s.forget(q)
		return nil
	}
	return f
}

// full reports that r, behind a batch of so many bytes, is for the next one.
func (f *flight) full(r *pending, bytes int) bool {
	n := len(f.batch)
	if n == 0 {
		return false
	}
	return n == maxBatchRecords || bytes+r.size > maxBatchBytes || r.alone || f.batch[0].alone
}

// drop takes the first n off; an emptied queue keeps its memory.
func (q *keyQueue) drop(n int) {
	left := copy(q.pending, q.pending[n:])
	clear(q.pending[left:])
	q.pending = q.pending[:left]
}

// maxIdleQueues bounds what a shard keeps for keys to come.
const maxIdleQueues = 64

func (s *pipelineShard) queue(key string) *keyQueue {
	if q := s.keys[key]; q != nil {
		return q
	}
	var q *keyQueue
	if n := len(s.idle); n > 0 {
		q, s.idle = s.idle[n-1], s.idle[:n-1]
	} else {
		q = &keyQueue{}
	}
	q.key = key
	s.keys[key] = q
	return q
}

func (s *pipelineShard) forget(q *keyQueue) {
	delete(s.keys, q.key)
	if len(s.idle) < maxIdleQueues && cap(q.pending) <= maxBatchRecords {
		q.key = ""
		s.idle = append(s.idle, q)
	}
}

// send makes one attempt on a batch and goes on with the key's next one, in a
// loop when the driver settles at once, so that the stack does not grow.
func (p *pipeline) send(f *flight) {
	for f != nil {
		recs := f.oneRec[:0]
		if len(f.batch) > 1 {
			recs = make([]driver.Record, 0, len(f.batch))
		}
		for _, r := range f.batch {
			r.attempts++
			recs = append(recs, r.rec)
		}
		if f.s.isShut(f.q.key) {
			f.refuse()
		} else {
			p.t.Publish(recs, f.settle)
		}
		f = f.done()
	}
}

// ErrBehindRefused reports a record that follows a refused one of its key.
var ErrBehindRefused = errors.New("not attempted: an earlier record of the key was refused")

// refuse settles a batch of a key that is shut.
func (f *flight) refuse() {
	for i := range f.batch {
		f.settle(i, driver.Outcome{Err: ErrBehindRefused})
	}
}

func (s *pipelineShard) shutKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut == nil {
		s.shut = make(map[string]struct{})
	}
	s.shut[key] = struct{}{}
}

func (s *pipelineShard) isShut(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, yes := s.shut[key]
	return yes
}

// flight is one attempt on one batch.
type flight struct {
	p        *pipeline
	s        *pipelineShard
	q        *keyQueue
	batch    []*pending
	oneBatch [1]*pending // most batches hold one record
	oneRec   [1]driver.Record

	mu       sync.Mutex
	left     []*pending // not stored, to be tried again, in order
	settled  int
	stopped  bool // a record was not stored: the later ones were not attempted
	wait     bool // that record is tried again, after a pause
	returned bool // Publish has returned
}

// settle takes the driver's word on record i; the last one moves the key on.
func (f *flight) settle(i int, o driver.Outcome) {
	r := f.batch[i]
	f.mu.Lock()
	if f.stopped && errors.Is(o.Err, driver.ErrUnavailable) {
		r.attempts--
	}
	again := f.p.judge(r, &o)
	if o.Err != nil && !f.stopped {
		f.stopped, f.wait = true, again
	}
	if again {
		f.left = append(f.left, r)
	}
	f.mu.Unlock()
	if !again {
		if r.chained && o.Err != nil && !mutant.On("pass-a-refused-record") {
			f.s.shutKey(f.q.key)
		}
		f.p.finish(r, o)
	}
	f.mu.Lock()
	f.settled++
	last := f.settled == len(f.batch) && f.returned
	f.mu.Unlock()
	if last {
		f.p.send(f.next())
	}
}

// done is called when Publish has returned; if everything is settled by then
// the caller's loop goes on with the next batch.
func (f *flight) done() *flight {
	f.mu.Lock()
	f.returned = true
	all := f.settled == len(f.batch)
	f.mu.Unlock()
	if !all {
		return nil
	}
	return f.next()
}

// next puts back what must be tried again and returns the key's next batch, or
// nil when there is none or when it has to wait first.
func (f *flight) next() *flight {
	p, s, q := f.p, f.s, f.q
	s.mu.Lock()
	if len(f.left) > 0 {
		for _, r := range f.left {
			r.state = pendingQueued
		}
		q.pending = append(f.left, q.pending...)
	}
	if f.wait {
		s.mu.Unlock()
		p.later(s, q, f.left[0])
		return nil
	}
	next := p.take(s, q)
	s.mu.Unlock()
	return next
}

// later sends the key's next batch after the backoff of r's attempt.
func (p *pipeline) later(s *pipelineShard, q *keyQueue, r *pending) {
	d := min(publishBackoff.Wait(r.attempts, globalRand{}), max(time.Until(r.deadline), 0))
	go func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-p.stop.Done():
		}
		s.mu.Lock()
		f := p.take(s, q)
		s.mu.Unlock()
		p.send(f)
	}()
}

// publishBackoff paces publish retries: the first is nearly immediate, since a
// leader's election or a reconnect is usually short; the cap keeps a long
// outage's recovery within a second.
var publishBackoff = backoff.Policy{Base: 20 * time.Millisecond, Cap: time.Second}

// judge reports whether r is to be tried again, and else makes o its last word.
func (p *pipeline) judge(r *pending, o *driver.Outcome) bool {
	switch {
	case o.Err == nil && o.Duplicate && r.strict && !r.maybe:
		o.Err = errDuplicate
		return false
	case o.Err == nil:
		return false
	case mutant.On("report-fail-on-timeout") && errors.Is(o.Err, driver.ErrUncertain):
		o.Err = driver.ErrUnavailable
		return false
	case errors.Is(o.Err, driver.ErrUncertain):
		r.maybe = true
	case errors.Is(o.Err, driver.ErrUnavailable), errors.Is(o.Err, driver.ErrFull):
	default:
		p.doubt(r, o)
		return false
	}
	if time.Now().Before(r.deadline) && p.stop.Err() == nil {
		return true
	}
	p.doubt(r, o)
	return false
}

// doubt turns a failure into uncertainty when an earlier attempt may have
// stored the record: "failed" always means not stored.
func (p *pipeline) doubt(r *pending, o *driver.Outcome) {
	if r.maybe && !errors.Is(o.Err, driver.ErrUncertain) {
		o.Err = errors.Join(driver.ErrUncertain, o.Err)
	}
}

func (p *pipeline) finish(r *pending, o driver.Outcome) {
	p.budget.release(r.size)
	p.settled(r, o)
}

// close waits until everything is settled or ctx ends, then stops retrying.
func (p *pipeline) close(ctx context.Context) {
	p.budget.close()
	p.budget.drained(ctx)
	p.quit()
}
