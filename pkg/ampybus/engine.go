package ampybus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// engine runs one Consume: it feeds the key-ordered core from the source, runs
// workers on what the core hands out, and commits the finished prefix.
type engine struct {
	bus *Bus
	c   Consumer
	h   Handler
	src driver.Source

	mu       sync.Mutex // guards core, lanes, paused, stopping, running, fault
	cond     *sync.Cond // work, or an end of it
	core     *keyed.Core[*item]
	lanes    map[string]*lane
	paused   map[string]*lane // those of lanes that wait for room
	stopping bool             // nothing new begins
	running  int              // handed out to workers
	fault    error            // what ended it early

	health   health
	halted   atomic.Bool  // nothing begins any more, not what is in hand either
	suspects atomic.Int32 // lanes under suspicion: one message at a time

	parked       map[string]*parkedKey // guarded by mu
	watch        sync.Once
	settledSince time.Time
	dead         []*deadLog // of the domains that park keys
	background   sync.WaitGroup
	ctx          context.Context // of what goes on beside the workers

	near   *MemoryDedupe // c.Dedupe, if it is one
	memo   headerMemo    // of the goroutine that receives
	stride uint64        // finished positions that are worth an early commit

	timer *time.Timer        // fires when the core has a key to wake
	kick  chan struct{}      // to commit early
	quit  context.CancelFunc // ends what runs, after a fault
}

// lane is what the engine knows of one owned lane.
type lane struct {
	name       string
	epoch      uint64
	committed  uint64
	asked      uint64        // the furthest point that was asked for
	committing chan struct{} // holds a token while a commit is asked for: points do not overtake each other
	paused     bool
	draining   bool
	suspect    bool   // its owners kept vanishing: see crashloop.go
	culprit    uint64 // the position that must not run again
	crashes    int
	survivals  int
	ctx        context.Context // of its handlers
	cancel     context.CancelFunc
}

// item is a fetched message on its way through the core.
type item struct {
	m     *Message // first, or its copy for a later attempt
	first Message
	tried bool   // m was handed to an attempt
	fault error  // the headers cannot be read
	dead  string // why it is a dead letter, once that is decided

	runs      int       // times that the handler ran, here
	tries     int       // failed attempts that count against the budget
	since     time.Time // start of the first attempt that counts
	successes uint64    // of the consumer at that time
	blocked   int       // times that its dead letter could not be stored
}

func newEngine(b *Bus, c Consumer, h Handler, src driver.Source) *engine {
	e := &engine{
		bus: b, c: c, h: h, src: src,
		core: keyed.New[*item](keyed.Config{
			MaxItems: c.MaxItems, MaxBytes: c.MaxBytes, MaxSpan: uint64(c.MaxSpan),
			Backoff: func(int, string) time.Duration { return 0 }, // verdicts carry the wait
		}),
		lanes:  make(map[string]*lane),
		paused: make(map[string]*lane),
		parked: make(map[string]*parkedKey),
		kick:   make(chan struct{}, 1),
		stride: uint64(max(1, c.MaxSpan/commitStrides)),
	}
	e.near, _ = c.Dedupe.(*MemoryDedupe)
	e.cond = sync.NewCond(&e.mu)
	e.timer = time.AfterFunc(time.Hour, e.wake)
	e.timer.Stop()
	return e
}

// run is the life of a Consume: work until ctx ends, then drain.
func (e *engine) run(ctx context.Context) error {
	loop, quit := context.WithCancel(ctx)
	defer quit()
	e.ctx, e.quit = loop, quit
	e.settledSince = time.Now()
	for _, s := range e.mayPark() {
		d := newDeadLog(e.bus, e.c.Group, s)
		e.dead = append(e.dead, d)
		e.background.Go(func() { d.prepare(loop) })
	}

	var workers, commits sync.WaitGroup
	for range e.c.Workers {
		workers.Go(e.work)
	}
	stopCommits := make(chan struct{})
	commits.Go(func() { e.commitLoop(stopCommits) })

	err := e.receive(loop)

	drained := e.drain(&workers)
	close(stopCommits)
	commits.Wait()
	e.timer.Stop()
	quit()
	e.background.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer cancel()
	e.commitAll(end)
	return errors.Join(err, drained, e.src.Close(end))
}

// closeGrace bounds the last commits and the hand-over.
const closeGrace = 2 * time.Second

// receive takes the source's events until ctx ends or something fails.
func (e *engine) receive(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.fault
		case ev, ok := <-e.src.Events():
			if !ok {
				if err := e.src.Err(); err != nil {
					return fmt.Errorf("group %s: %w", e.c.Group, err)
				}
				return fmt.Errorf("group %s: %w", e.c.Group, ErrClosed)
			}
			if err := e.event(ctx, ev); err != nil {
				return err
			}
		}
	}
}

func (e *engine) event(ctx context.Context, ev driver.Event) error {
	switch ev.Kind {
	case driver.Records:
		e.add(ev)
	case driver.Assigned:
		return e.assign(ctx, ev)
	case driver.Draining:
		go e.giveAway(ev)
	case driver.Lost:
		e.lose(ev.Lane, ev.Epoch)
		e.notice(Notice{Kind: NoticeLost, Lane: ev.Lane, Text: "another member owns the lane, or may", Err: ev.Err})
	case driver.Gap:
		return e.gap(ev)
	case driver.Trouble:
		e.notice(Notice{Kind: NoticeTrouble, Lane: ev.Lane, Text: "cannot reach the broker; trying on", Err: ev.Err})
	}
	return nil
}

func (e *engine) assign(ctx context.Context, ev driver.Event) error {
	e.mu.Lock()
	l := e.lanes[ev.Lane]
	same := l != nil && l.epoch == ev.Epoch
	if same {
		e.core.Assign(ev.Lane, ev.Epoch, ev.From)
		e.mu.Unlock()
		return nil
	}
	e.mu.Unlock()
	if l != nil {
		e.lose(l.name, l.epoch)
	}
	if ok, err := e.restoredParked(ctx, ev); !ok {
		return err
	}
	l = &lane{name: ev.Lane, epoch: ev.Epoch, committed: ev.From, committing: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	e.mu.Lock()
	e.lanes[ev.Lane] = l
	e.suspect(l, ev)
	e.core.Assign(ev.Lane, ev.Epoch, ev.From)
	e.mu.Unlock()
	e.notice(Notice{Kind: NoticeAssigned, Lane: ev.Lane, Text: fmt.Sprintf("owner at epoch %d from position %d", ev.Epoch, ev.From)})
	return nil
}

// add reads the headers of what was fetched and puts it into the core.
func (e *engine) add(ev driver.Event) {
	items := make([]*item, 0, len(ev.Records))
	for rs := ev.Records; len(rs) > 0; {
		slab := make([]item, together(rs))
		for i := range slab {
			slab[i].read(&rs[i], &e.memo)
			items = append(items, &slab[i])
		}
		rs = rs[len(slab):]
	}
	e.mu.Lock()
	l := e.lanes[ev.Lane]
	if l == nil || l.epoch != ev.Epoch {
		e.mu.Unlock()
		return
	}
	for _, it := range items {
		e.core.Add(keyed.Item[*item]{
			Lane: ev.Lane, Epoch: ev.Epoch, Pos: it.m.Pos,
			Key: it.key(), Size: len(it.m.Record.Value), Value: it,
		})
	}
	if !l.paused && !e.core.CanFetch(ev.Lane) {
		l.paused = true
		e.paused[l.name] = l
		e.src.Pause(ev.Lane, true)
	}
	e.cond.Broadcast()
	e.mu.Unlock()
}

const (
	// slabItems are allocated in one piece, at most.
	slabItems = 32
	// slabBytes bounds the payloads of a piece: a handler that keeps one message
	// keeps the others, too.
	slabBytes = 64 << 10
)

// together is how many of the first records are allocated in one piece.
func together(rs []driver.Delivery) int {
	n := 1
	for bytes := len(rs[0].Value); n < min(len(rs), slabItems); n++ {
		if bytes += len(rs[n].Value); bytes > slabBytes {
			break
		}
	}
	return n
}

// finished lets the lane's next steps happen: more fetching, a commit.
func (e *engine) finished(l *lane) {
	e.resume()
	if low, epoch, ok := e.core.Low(l.name); ok && epoch == l.epoch && low >= l.committed+e.stride {
		select {
		case e.kick <- struct{}{}:
		default:
		}
	}
	if e.stopping || l.draining {
		e.cond.Broadcast()
	}
}

// resume lets lanes fetch again. Their limits are common ones, so a lane that
// has nothing left itself may have waited for another. The lock is held.
func (e *engine) resume() {
	for name, l := range e.paused {
		if e.core.CanFetch(name) {
			l.paused = false
			delete(e.paused, name)
			e.src.Pause(name, false)
		}
	}
}

// arm sets the timer to when a worker may have something to do. The lock is held.
func (e *engine) arm() {
	at, ok := e.core.Wake()
	if e.health.paused.Load() {
		at, ok = e.health.probeAt, true
	}
	if ok {
		e.timer.Reset(max(time.Until(at), 0))
	}
}

func (e *engine) wake() {
	e.mu.Lock()
	e.cond.Broadcast()
	e.mu.Unlock()
}

// lose forgets a lane: what runs becomes stale, its handlers' ctx ends.
func (e *engine) lose(name string, epoch uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.lanes[name]
	if l == nil || l.epoch != epoch {
		return
	}
	l.cancel()
	e.trust(l)
	delete(e.lanes, name)
	delete(e.paused, name)
	e.core.Revoke(name)
	e.resume()
}

// gap halts or goes on, as configured. It is never silent.
func (e *engine) gap(ev driver.Event) error {
	err := &DataGapError{Group: e.c.Group, Lane: ev.Lane, From: ev.From, To: ev.To}
	e.notice(Notice{Kind: NoticeGap, Lane: ev.Lane, Text: err.Error(), Err: err})
	if e.haltsOnGap() {
		return err
	}
	return nil
}

func (e *engine) haltsOnGap() bool {
	if e.c.OnGap != GapDefault {
		return e.c.OnGap == GapHalt
	}
	p, _ := ParsePattern(e.c.Pattern)
	for _, s := range p.Scopes() {
		if policy, ok := PolicyFor(s.Domain); ok && policy.OnDead == Park {
			return true
		}
	}
	return false
}

// drain closes up the finished prefix: it begins nothing behind the newest
// message begun, and waits for what runs, first patiently, then with its ctx
// ended.
func (e *engine) drain(workers *sync.WaitGroup) error {
	e.mu.Lock()
	e.stopping = true
	for name := range e.lanes {
		e.core.Seal(name)
	}
	e.cond.Broadcast()
	e.mu.Unlock()

	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	if doneWithin(done, e.c.DrainTimeout) {
		return nil
	}
	e.mu.Lock()
	e.halted.Store(true)
	for _, l := range e.lanes {
		l.cancel()
	}
	e.mu.Unlock()
	if doneWithin(done, cancelGrace) {
		return nil
	}
	e.mu.Lock()
	n := e.running
	e.mu.Unlock()
	err := fmt.Errorf("drain group %s: %d handlers still run after %v; their messages are delivered again", e.c.Group, n, e.c.DrainTimeout)
	e.notice(Notice{Kind: NoticeDrain, Text: err.Error(), Err: err})
	return err
}

// cancelGrace is what a handler gets to notice that its ctx ended.
const cancelGrace = time.Second

func doneWithin(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

func (e *engine) notice(n Notice) {
	n.Group = e.c.Group
	e.bus.opts.Observer.Noticed(n)
}
