package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

func natsShares() sweep {
	return sweep{
		curve: Curve{Name: "shares", Title: "NATS, shares of one stream, a member for each, 1 KiB", X: "shares", Columns: []Column{
			noted("msg/s"), total("client µs/msg of the log"), total("broker µs/msg of the log"), total("client heap MB"),
			total("open all ms"), noted("second member has its half after ms"),
		}},
		xs: []int{1, 2, 4, 8, 16}, keep: true, rounds: 2,
		point: sharesPoint,
	}
}

func sharesPoint(ctx context.Context, r *rig, x int) ([]float64, error) {
	buses := make([]*ampybus.Bus, max(x, 2))
	seen := make([]*assignments, len(buses))
	for i := range buses {
		seen[i] = newAssignments()
		var err error
		if buses[i], err = r.nats(natsbinding.Config{Bus: ampybus.Options{Observer: seen[i]}}); err != nil {
			return nil, err
		}
		defer closeAll(buses[i])
	}
	if r.held == 0 {
		l := bars(40_000, quickKeys, usual)
		if _, err := r.publish(ctx, bench.Bus{Bus: buses[0]}, l); err != nil {
			return nil, err
		}
		r.held = l.Count
	}
	group := ampybus.Consumer{Pattern: barsTopic, Group: newGroup(), Shares: x}
	var members []member
	for i := range x {
		members = append(members, member{buses[i], group})
	}
	con, err := r.together(ctx, r.held, members)
	if err != nil {
		return nil, err
	}
	opened, moved, err := rebalance(ctx, buses, seen, x)
	return []float64{con.rate(), con.clientMicros(), con.brokerMicros(), mega(con.peak.live), millis(opened), millis(moved)}, err
}

// together has the members of one group take n messages between them.
func (r *rig) together(ctx context.Context, n int, members []member) (cost, error) {
	return r.measure(func(c *cost) error {
		ctx, quit := context.WithCancel(ctx)
		defer quit()
		m := &meter{want: int64(n), full: quit}
		err := consumeAll(ctx, members, m.got)
		c.n, c.took, c.client = n, m.ended.Sub(m.began), m.used
		return err
	})
}

// rebalance opens x shares alone, and then with a second member.
func rebalance(ctx context.Context, buses []*ampybus.Bus, seen []*assignments, x int) (opened, moved time.Duration, err error) {
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	group := ampybus.Consumer{Pattern: barsTopic, Group: newGroup(), Shares: x, StartNew: true}
	var all sync.WaitGroup
	errs := make([]error, 2)
	for i, want := range []int{x, x / 2} {
		if want == 0 {
			break
		}
		done := seen[i].await(want)
		began := time.Now()
		all.Go(func() { errs[i] = consumeAll(ctx, []member{{buses[i], group}}, func() {}) })
		select {
		case <-done:
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
		if i == 0 {
			opened = time.Since(began)
		} else {
			moved = time.Since(began)
		}
	}
	quit()
	all.Wait()
	return opened, moved, firstOf(errs)
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// assignments is an observer that tells when so many lanes were assigned.
type assignments struct {
	mu   sync.Mutex
	left int
	done chan struct{}
}

func newAssignments() *assignments { return &assignments{} }

func (a *assignments) await(n int) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left, a.done = n, make(chan struct{})
	return a.done
}

// Published implements ampybus.Observer.
func (*assignments) Published(ampybus.PublishEvent) {}

// Consumed implements ampybus.Observer.
func (*assignments) Consumed(ampybus.ConsumeEvent) {}

// Noticed implements ampybus.Observer.
func (a *assignments) Noticed(n ampybus.Notice) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n.Kind != ampybus.NoticeAssigned || a.left == 0 {
		return
	}
	if a.left--; a.left == 0 {
		close(a.done)
	}
}

func natsStreams() sweep {
	return sweep{
		curve: Curve{Name: "streams", Title: "NATS, streams that one group reads, 128 B", X: "streams", Columns: []Column{
			total("open all ms"), each("requests to open/stream"), noted("publish msg/s"), each("client µs/msg"),
			noted("consume msg/s"), each("client µs/msg (consume)"), each("broker µs/msg (consume)"),
			total("client heap MB"), each("goroutines/stream"), total("idle requests/s"), total("idle client ms/s"), total("idle broker ms/s"),
			total("streams ms"),
		}},
		xs: []int{1, 5, 14, 42, 100, 200}, point: streamsPoint,
	}
}

// perSymbol makes a stream for each symbol: AMPY_DEV_BARS_XNAS_S1.
func perSymbol() *natsbinding.Layout {
	d := natsbinding.DefaultLayout()
	return &natsbinding.Layout{
		Scope: func(topic string) string { return topic },
		Stream: func(scope string) (natsbinding.Stream, bool) {
			s, ok := d.Stream(d.Scope(scope))
			s.Name, s.Subject = strings.ToUpper(strings.NewReplacer(".", "_").Replace(scope)), scope
			return s, ok
		},
		Scopes: func(string) []string { return nil },
	}
}

func streamsPoint(ctx context.Context, r *rig, x int) ([]float64, error) {
	seen := newAssignments()
	bus, err := r.nats(natsbinding.Config{Layout: perSymbol(), Bus: ampybus.Options{Observer: seen}})
	if err != nil {
		return nil, err
	}
	defer bus.Close()
	l := bars(400_000, quickKeys, small)
	topics := symbols(x)
	for _, topic := range topics { // make the streams
		if err := bus.Publish(ctx, topic, ampybus.NewHeaders(l.Schema, l.Producer, l.Source, "K"), nil); err != nil {
			return nil, fmt.Errorf("make streams: %w", err)
		}
	}
	o, err := r.opening(ctx, bus, seen, x)
	if err != nil {
		return nil, err
	}
	pub, err := r.publish(ctx, &spread{to: bench.Bus{Bus: bus}, topics: topics, keys: true}, l)
	if err != nil {
		return nil, err
	}
	con, err := r.work(ctx, l.Count+x, member{bus, ampybus.Consumer{Pattern: barsPattern, Group: newGroup()}})
	if err != nil {
		return nil, err
	}
	return r.commands(ctx, []float64{
		millis(o.took), o.requests / float64(x), pub.rate(), pub.clientMicros(), con.rate(), con.clientMicros(), con.brokerMicros(),
		mega(con.peak.live), o.goroutines / float64(x), o.idle, millis(o.client), millis(o.broker),
	}, []string{"streams"})
}

// opened is what lanes without messages cost.
type opened struct {
	took           time.Duration
	requests       float64 // until all were open
	goroutines     float64
	idle           float64 // requests a second from then on
	client, broker time.Duration
}

// opening has a new group open all lanes, and leaves it idle for a while.
func (r *rig) opening(ctx context.Context, bus *ampybus.Bus, seen *assignments, lanes int) (o opened, err error) {
	before, err := r.broker()
	if err != nil {
		return o, err
	}
	quiet := memoryNow().goroutines
	working, quit := context.WithCancel(ctx)
	defer quit()
	ended := make(chan error, 1)
	all, began := seen.await(lanes), time.Now()
	go func() {
		ended <- consumeAll(working, []member{{bus, ampybus.Consumer{Pattern: barsPattern, Group: newGroup(), StartNew: true}}}, func() {})
	}()
	select {
	case <-all:
	case err := <-ended:
		return o, fmt.Errorf("open: it ended early: %w", err)
	}
	o.took = time.Since(began)
	after, err := r.broker()
	if err != nil {
		return o, err
	}
	o.requests, o.goroutines = float64(after.Requests-before.Requests), float64(memoryNow().goroutines-quiet)
	if o.idle, o.client, o.broker, err = r.idle(ctx, idleTime); err != nil {
		return o, err
	}
	quit()
	return o, <-ended
}
