package kafkabinding

import (
	"sync"
	"sync/atomic"
	"time"
)

// openCalls are the publishes that have not settled, in the order in which they
// began. All have the same time, so the first is the first to be late: one
// timer serves them all.
type openCalls struct {
	timeout time.Duration
	quit    chan struct{}
	work    sync.WaitGroup

	mu     sync.Mutex
	calls  []*openCall
	closed bool
}

// openCall is a publication that may be late. It lets go of one that has
// settled, so that its records are not held until somebody looks.
type openCall struct {
	deadline time.Time
	p        atomic.Pointer[publication]
}

// close is called when all is settled.
func (c *openCall) close() { c.p.Store(nil) }

func newOpenCalls(timeout time.Duration) *openCalls {
	o := &openCalls{timeout: timeout, quit: make(chan struct{})}
	o.work.Go(o.watch)
	return o
}

// add notes p; false when the transport is closed.
func (o *openCalls) add(p *publication) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	p.call = &openCall{deadline: time.Now().Add(o.timeout)}
	p.call.p.Store(p)
	o.calls = append(o.calls, p.call)
	return true
}

// openPart is how many looks a timeout takes: an outcome is late by at most
// a tenth.
const openPart = 10

func (o *openCalls) watch() {
	tick := time.NewTicker(max(o.timeout/openPart, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, p := range o.due(now) {
				p.expire()
			}
		case <-o.quit:
			return
		}
	}
}

// due removes the calls whose time is over, and forgets those that settled.
func (o *openCalls) due(now time.Time) []*publication {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.calls) && (now.After(o.calls[n].deadline) || o.calls[n].p.Load() == nil) {
		n++
	}
	late := unsettled(o.calls[:n])
	clear(o.calls[:n])
	if o.calls = o.calls[n:]; len(o.calls) == 0 {
		o.calls = nil
	}
	return late
}

func unsettled(calls []*openCall) (ps []*publication) {
	for _, c := range calls {
		if p := c.p.Load(); p != nil {
			ps = append(ps, p)
		}
	}
	return ps
}

// close settles what is open as uncertain, and takes nothing more.
func (o *openCalls) close() {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	o.closed = true
	calls := o.calls
	o.calls = nil
	o.mu.Unlock()
	close(o.quit)
	o.work.Wait()
	for _, p := range unsettled(calls) {
		p.expire()
	}
}
