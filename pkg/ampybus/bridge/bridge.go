package bridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Bridge carries the records of one direction. It runs once.
type Bridge struct {
	c    Config
	pick selection
	ends ends
	src  driver.Source
	to   *ampybus.Bus
	goal map[string]uint64 // with Once: where the logs ended, by name

	mu    sync.Mutex
	cond  *sync.Cond // something was finished
	lanes map[string]*lane
	stats Stats
	bytes int   // in flight
	taken int   // handed to the target, for Max
	fault error // what ended it early
	done  bool  // Max or Once is reached
	quit  context.CancelFunc
}

// New checks c. It reaches no broker.
func New(c Config) (*Bridge, error) {
	pick, err := newSelection(c.Pattern, c.Exclude)
	if err != nil {
		return nil, err
	}
	if c.Group != "" {
		if err := (ampybus.Consumer{Pattern: c.Pattern, Group: c.Group}).Validate(); err != nil {
			return nil, err
		}
	}
	if c.Observer == nil {
		c.Observer = ampybus.Observers()
	}
	b := &Bridge{c: c, pick: pick, lanes: make(map[string]*lane)}
	b.cond = sync.NewCond(&b.mu)
	return b, nil
}

// Stats may be called at any time.
func (b *Bridge) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// Done reports that Config.Max or Config.Once is reached.
func (b *Bridge) Done() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done
}

// finish ends the bridge because it has done what it should.
func (b *Bridge) finish() {
	b.mu.Lock()
	b.done = b.fault == nil
	b.mu.Unlock()
	b.quit()
}

// Run carries records until ctx ends, Config.Max or Config.Once is reached, or
// something cannot go on. It then waits for the acknowledgements under way,
// commits, and closes both transports. The end of ctx is no error. A record
// that the target refuses is a *RefusedError.
func (b *Bridge) Run(ctx context.Context) error {
	// What follows waits for the target as long as it takes: only the end of
	// the bridge ends that.
	b.to = ampybus.New(b.c.To, ampybus.Options{
		Observer: b.c.Observer, PublishCeiling: forever, CloseTimeout: closeTimeout,
		MaxPending: math.MaxInt32, MaxPendingBytes: math.MaxInt32, // bounded here, by pausing lanes
	})
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	b.quit = quit
	err := b.open(ctx)
	if err == nil {
		err = b.carry(ctx)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if b.src != nil {
		err = errors.Join(err, b.src.Close(end))
	}
	return errors.Join(err, b.to.Close(), b.c.From.Close(end))
}

func (b *Bridge) open(ctx context.Context) (err error) {
	if err := b.identify(ctx, true); err != nil {
		return err
	}
	if b.c.Once {
		if b.goal, err = b.logEnds(ctx); err != nil {
			return err
		}
	}
	b.src, err = b.c.From.Open(ctx, driver.GroupConfig{
		Group: b.c.Group, Pattern: b.c.Pattern, Start: b.c.Start, StartNew: b.c.StartNew, MaxSpan: maxItems,
	})
	if err != nil {
		return fmt.Errorf("open group %s: %w", b.c.Group, err)
	}
	return nil
}

func (b *Bridge) identify(ctx context.Context, create bool) (err error) {
	if b.ends, err = identify(ctx, b.c.From, b.c.To, ends{b.c.FromName, b.c.ToName}, create); err == nil && b.c.Group == "" {
		b.mu.Lock()
		b.c.Group = b.c.groupFor(b.ends.to)
		b.mu.Unlock()
	}
	return err
}

// Group is the durable group; empty until Run has made up a name.
func (b *Bridge) Group() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.c.Group
}

// carry is the life of the bridge between opening and closing.
func (b *Bridge) carry(ctx context.Context) error {
	var background sync.WaitGroup
	stop := make(chan struct{})
	background.Go(func() { b.commitLoop(ctx, stop) })
	err := b.receive(ctx)
	b.quit()
	b.drain(drainTimeout, func() bool { return b.stats.InFlight == 0 })
	close(stop)
	background.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	b.commitAll(end)
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Join(err, b.fault)
}

// receive takes the source's events until ctx ends or something fails.
func (b *Bridge) receive(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-b.src.Events():
			if !ok {
				return fmt.Errorf("group %s: %w", b.c.Group, errors.Join(b.src.Err(), driver.ErrClosed))
			}
			b.event(ev)
		}
	}
}

func (b *Bridge) event(ev driver.Event) {
	switch ev.Kind {
	case driver.Assigned:
		b.assign(ev)
	case driver.Records:
		b.records(ev)
	case driver.Draining:
		go b.giveAway(ev)
	case driver.Lost:
		b.lose(ev.Lane, ev.Epoch)
		b.notice(ampybus.Notice{Kind: ampybus.NoticeLost, Lane: ev.Lane, Text: "another process owns the lane, or may", Err: ev.Err})
	case driver.Gap:
		b.mu.Lock()
		b.stats.Gaps++
		b.stats.Lost += ev.To - ev.From
		b.mu.Unlock()
		err := &ampybus.DataGapError{Group: b.c.Group, Lane: ev.Lane, From: ev.From, To: ev.To}
		b.notice(ampybus.Notice{Kind: ampybus.NoticeGap, Lane: ev.Lane, Text: err.Error(), Err: err})
	case driver.Trouble:
		b.notice(ampybus.Notice{Kind: ampybus.NoticeTrouble, Lane: ev.Lane, Text: "cannot reach the source; trying on", Err: ev.Err})
	}
}

func (b *Bridge) assign(ev driver.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.lanes[ev.Lane]
	if old != nil && old.epoch == ev.Epoch {
		return // what is known comes again, and is known
	}
	if old != nil {
		old.stopped = true
	}
	b.lanes[ev.Lane] = &lane{name: ev.Lane, epoch: ev.Epoch, next: ev.From, committed: ev.From}
	b.notice(ampybus.Notice{Kind: ampybus.NoticeAssigned, Lane: ev.Lane, Text: fmt.Sprintf("owner at epoch %d from position %d", ev.Epoch, ev.From)})
}

func (b *Bridge) lose(name string, epoch uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.lanes[name]; l != nil && l.epoch == epoch {
		l.stopped = true
		delete(b.lanes, name)
		b.cond.Broadcast()
	}
}

// fail ends the bridge.
func (b *Bridge) fail(err error) {
	b.mu.Lock()
	if b.fault == nil {
		b.fault = err
	}
	b.mu.Unlock()
	b.quit()
}

func (b *Bridge) notice(n ampybus.Notice) {
	n.Group = b.c.Group
	b.c.Observer.Noticed(n)
}

// drain waits until done says so, with the lock held, or for d.
func (b *Bridge) drain(d time.Duration, done func() bool) {
	late := false
	timer := time.AfterFunc(d, func() {
		b.mu.Lock()
		late = true
		b.cond.Broadcast()
		b.mu.Unlock()
	})
	defer timer.Stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for !late && !done() {
		b.cond.Wait()
	}
}
