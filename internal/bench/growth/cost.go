package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// cost is what some work took.
type cost struct {
	n              int           // messages
	first          time.Duration // until the first of them
	took           time.Duration // from the first to the last
	client, broker time.Duration // CPU
	peak           memory
	after          footprint // of the broker
}

func (c cost) rate() float64 { return float64(c.n) / c.took.Seconds() }

// clientMicros and brokerMicros are CPU for one message.
func (c cost) clientMicros() float64 { return perMessage(c.client, c.n) }
func (c cost) brokerMicros() float64 { return perMessage(c.broker, c.n) }

func perMessage(used time.Duration, n int) float64 {
	return float64(used) / float64(time.Microsecond) / float64(max(n, 1))
}

func mega(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// memory of this process at its highest.
type memory struct{ live, taken, goroutines uint64 }

// Names of what is sampled: memory that survived the last collection, what was
// taken from the system and not given back, and goroutines.
const (
	liveHeap   = "/gc/heap/live:bytes"
	taken      = "/memory/classes/total:bytes"
	givenBack  = "/memory/classes/heap/released:bytes"
	goroutines = "/sched/goroutines:goroutines"
)

const sampleEvery = 50 * time.Millisecond

// watchMemory samples until stop is called, which returns the peaks. It begins
// with a clean heap.
func watchMemory() (stop func() memory) {
	debug.FreeOSMemory()
	var peak memory
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			peak = peak.with(memoryNow())
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	}()
	return func() memory { close(end); <-done; return peak }
}

func (m memory) with(o memory) memory {
	return memory{max(m.live, o.live), max(m.taken, o.taken), max(m.goroutines, o.goroutines)}
}

func memoryNow() memory {
	s := []metrics.Sample{{Name: liveHeap}, {Name: taken}, {Name: givenBack}, {Name: goroutines}}
	metrics.Read(s)
	return memory{s[0].Value.Uint64(), s[1].Value.Uint64() - s[2].Value.Uint64(), s[3].Value.Uint64()}
}

// measure notes what fn uses, here and at the broker. fn fills in the rest.
func (r *rig) measure(fn func(c *cost) error) (cost, error) {
	before, err := r.broker()
	if err != nil {
		return cost{}, err
	}
	var c cost
	stop := watchMemory()
	err = fn(&c)
	c.peak = stop()
	after, failed := r.broker()
	c.broker, c.after = after.since(before), after
	return c, errors.Join(err, failed)
}

// publish publishes the load.
func (r *rig) publish(ctx context.Context, p bench.Publisher, l bench.Load) (cost, error) {
	return r.measure(func(c *cost) error {
		res, err := bench.Run(ctx, "bus", p, l)
		if err != nil {
			return err
		}
		c.n, c.took = res.Published, res.Took
		c.client = time.Duration(float64(res.CPUPerMillion()) * float64(c.n) / 1e6)
		if c.n < l.Count {
			return errors.Join(ctx.Err(), fmt.Errorf("publish: %d of %d stored: %w", c.n, l.Count, res.Err))
		}
		return nil
	})
}

// work has groups take n messages each, and measures from the first message to
// the last one of all.
func (r *rig) work(ctx context.Context, n int, groups ...member) (cost, error) {
	return r.measure(func(c *cost) error {
		m := &meter{want: int64(n) * int64(len(groups))}
		ctx, quit := context.WithCancel(ctx)
		defer quit()
		m.full = quit
		began := time.Now()
		if err := consumeAll(ctx, groups, m.got); err != nil {
			return err
		}
		c.n = int(min(m.n.Load(), m.want))
		if int64(c.n) < m.want {
			return errors.Join(errors.New("consume: it was stopped early"), context.Cause(ctx))
		}
		c.first, c.took, c.client = m.began.Sub(began), m.ended.Sub(m.began), m.used
		return nil
	})
}

// member is one Consume.
type member struct {
	bus *ampybus.Bus
	ampybus.Consumer
}

func consumeAll(ctx context.Context, groups []member, got func()) error {
	errs := make([]error, len(groups))
	var all sync.WaitGroup
	for i, g := range groups {
		all.Go(func() {
			errs[i] = g.bus.Consume(ctx, g.Consumer, func(context.Context, *ampybus.Message) error { got(); return nil })
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// meter counts messages up to a number. The first and the last look at clocks.
type meter struct {
	n            atomic.Int64
	want         int64
	full         func()
	began, ended time.Time
	begin, used  time.Duration // CPU
}

func (m *meter) got() {
	switch m.n.Add(1) {
	case 1:
		m.began, m.begin = time.Now(), bench.CPUTime()
	case m.want:
		m.ended, m.used = time.Now(), bench.CPUTime()-m.begin
		m.full()
	}
}

// newGroup is a name that no run before has used.
func newGroup() string { return fmt.Sprintf("growth-%08x", rand.Uint32()) }

// idle is the background load of what runs, over a while in which nothing is
// published.
func (r *rig) idle(ctx context.Context, d time.Duration) (requests float64, client, broker time.Duration, err error) {
	before, err := r.broker()
	if err != nil {
		return 0, 0, 0, err
	}
	runtime.GC()
	used := bench.CPUTime()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return 0, 0, 0, ctx.Err()
	}
	used = bench.CPUTime() - used
	after, err := r.broker()
	s := d.Seconds()
	return float64(after.Requests-before.Requests) / s, time.Duration(float64(used) / s), time.Duration(float64(after.since(before)) / s), err
}
