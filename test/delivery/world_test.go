package delivery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

const (
	ordersTopic = "ampy.dev.orders.v1.requests" // parks keys behind dead letters
	newsTopic   = "ampy.dev.news.v1.raw"        // skips dead letters
	group       = "oms"
	dlqPattern  = "ampy.dev.dlq.v1.>"
)

// world is a broker with the history of one group, and the store in which its
// effects happen.
type world struct {
	t      *testing.T
	broker broker
	h      *ampytest.History
	store  *chaos.Store
	dice   *rand.Rand
	topic  string
	lease  time.Duration
	// ceiling of what members publish. Zero: the domain's.
	ceiling time.Duration
	log     string // of the topic
	bus     *ampybus.Bus
	main    client // of bus
	seen    *notices
}

// notices keeps what observers are told: how often, and who owns the lane.
type notices struct {
	mu      sync.Mutex
	kinds   map[ampybus.NoticeKind]int
	owner   string
	changes chaos.Counter             // of owner
	last    map[string]ampybus.Notice // by member and kind
}

func (n *notices) count(k ampybus.NoticeKind) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kinds[k]
}

// watch is the observer of one member.
type watch struct {
	*notices
	name string
}

func (watch) Published(ampybus.PublishEvent) {}
func (watch) Consumed(ampybus.ConsumeEvent)  {}

func (o watch) Noticed(x ampybus.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kinds[x.Kind]++
	o.last[o.name+" "+string(x.Kind)] = x
	switch {
	case x.Kind == ampybus.NoticeAssigned:
		o.notices.owner = o.name
	case x.Kind == ampybus.NoticeLost && o.owner == o.name:
		o.notices.owner = ""
	default:
		return
	}
	o.changes.Add(1)
}

// owner waits until a member owns the lane that ok accepts, and returns its name.
func (w *world) owner(ok func(name string) bool) string {
	w.t.Helper()
	ctx, cancel := w.within()
	defer cancel()
	for {
		change := w.seen.changes.Value()
		w.seen.mu.Lock()
		name := w.seen.owner
		w.seen.mu.Unlock()
		if name != "" && ok(name) {
			return name
		}
		if !w.seen.changes.Await(ctx, change+1) {
			w.t.Fatalf("the lane's owner is still %q after %v", name, patience)
		}
	}
}

// on runs a scenario on both brokers: in memory, where time is virtual, and on
// a nats-server, where it is not.
func on(t *testing.T, topic string, scenario func(w *world)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { inMemory(t, topic, scenario) })
	t.Run("nats", func(t *testing.T) { onNATS(t, topic, scenario) })
}

func inMemory(t *testing.T, topic string, scenario func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, topic, &memBroker{t, membinding.New(membinding.Config{})})
		w.lease, w.log = 10*time.Second, "ampy.dev.orders"
		if topic == newsTopic {
			w.log = "ampy.dev.news"
		}
		w.run(scenario)
	})
}

func onNATS(t *testing.T, topic string, scenario func(w *world)) {
	t.Helper()
	w := newWorld(t, topic, startNATS(t))
	w.lease, w.log = 2*time.Second, "AMPY_DEV_ORDERS"
	if topic == newsTopic {
		w.log = "AMPY_DEV_NEWS"
	}
	w.run(scenario)
}

func newWorld(t *testing.T, topic string, b broker) *world {
	t.Helper()
	h, err := ampytest.NewHistory(topic, group)
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, broker: b, h: h, store: chaos.NewStore(h), dice: chaos.Dice(t), topic: topic,
		seen: &notices{kinds: make(map[ampybus.NoticeKind]int), last: make(map[string]ampybus.Notice)},
	}
}

// short makes leases as short as a loaded machine can renew, for scenarios
// that wait for them to end.
func (w *world) short() { w.lease = 400 * time.Millisecond }

func (w *world) run(scenario func(w *world)) {
	w.main = w.broker.client()
	w.bus = ampybus.New(w.h.Transport("main", w.main.transport()), ampybus.Options{})
	defer func() {
		if err := w.bus.Close(); err != nil {
			w.t.Errorf("close: %v", err)
		}
	}()
	scenario(w)
}

// check collects what the broker holds and fails the test for what is wrong.
func (w *world) check(r ampytest.Rules) *ampytest.Report {
	w.t.Helper()
	if err := w.h.Collect(w.t.Context(), w.bus); err != nil {
		w.t.Fatal(err)
	}
	report := w.h.Check(r)
	if err := report.Err(); err != nil {
		w.t.Error(err)
	}
	figures := *report
	figures.Findings = nil
	w.t.Logf("%+v", figures)
	return report
}

// atLeast fails a test whose faults did not happen.
func (w *world) atLeast(what string, got, want int) {
	w.t.Helper()
	if got < want {
		w.t.Errorf("vacuous: %d %s, want at least %d", got, what, want)
	}
}

// message is message n of a key.
func (w *world) message(key string, n int) ampybus.Envelope {
	tp, _ := ampybus.ParseTopic(w.topic)
	p, _ := ampybus.PolicyFor(tp.Domain)
	h := ampybus.NewHeaders(p.SchemaFor(tp.Subtopic), "delivery@1", "delivery", key)
	h.RunID = "delivery"
	return ampybus.Envelope{Topic: w.topic, Headers: h, Payload: fmt.Appendf(nil, "%s-%d", key, n)}
}

// load is messages on their way to the broker.
type load struct {
	settled chaos.Counter
	done    chan struct{}
}

// publish hands n messages over keys to the bus, at most window of them
// unsettled at a time.
func (w *world) publish(n, keys, window int) *load {
	l := &load{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for i := range n {
			if !l.settled.Await(w.t.Context(), i-window+1) {
				return
			}
			e := w.message(fmt.Sprintf("k%d", i%keys), i/keys)
			w.h.PublishAsync(w.bus, e, func(error) { l.settled.Add(1) })
		}
		l.settled.Await(w.t.Context(), n)
	}()
	return l
}

// all publishes n messages and waits for their outcomes.
func (w *world) all(n, keys int) {
	w.t.Helper()
	<-w.publish(n, keys, 1000).done
}

// consumer is the group's configuration.
func (w *world) consumer() ampybus.Consumer {
	return ampybus.Consumer{Pattern: w.topic, Group: group, Lease: w.lease, Workers: 8, CommitEvery: w.lease / 4}
}

// apply is a handler that writes to the store.
func (w *world) apply(proc string) ampybus.Handler {
	return func(_ context.Context, m *ampybus.Message) error {
		if w.store.Apply(proc, m) == chaos.Fenced {
			return ampybus.ErrFenced
		}
		return nil
	}
}

// member is one process of the group.
type member struct {
	w      *world
	name   string
	client client
	bus    *ampybus.Bus
	stop   context.CancelFunc
	ended  chan struct{}
	err    error // of Consume, set before ended is closed
	once   sync.Once
}

// doorbell rings when the group has been opened, or has refused.
type doorbell struct {
	driver.Transport
	opened chan struct{}
}

func (d *doorbell) Open(ctx context.Context, c driver.GroupConfig) (driver.Source, error) {
	defer close(d.opened)
	return d.Transport.Open(ctx, c)
}

// join starts a member with c and h, and returns when it is in the group.
func (w *world) join(name string, c ampybus.Consumer, h ampybus.Handler) *member {
	w.t.Helper()
	m := &member{w: w, name: name, client: w.broker.client(), ended: make(chan struct{})}
	bell := &doorbell{w.h.Transport(name, m.client.transport()), make(chan struct{})}
	m.bus = ampybus.New(bell, ampybus.Options{
		Observer: watch{w.seen, name}, PublishCeiling: w.ceiling,
	})
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() {
		defer close(m.ended)
		m.err = m.bus.Consume(ctx, c, h)
	}()
	w.t.Cleanup(func() { _ = m.leave() })
	<-bell.opened
	return m
}

// leave ends the member in an orderly way and returns what Consume said.
func (m *member) leave() error {
	m.once.Do(func() {
		m.stop()
		<-m.ended
		_ = m.bus.Close()
	})
	return m.err
}

// hasEnded tells whether Consume has returned.
func (m *member) hasEnded() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}

// mustLeave is leave where nothing may go wrong.
func (m *member) mustLeave() {
	m.w.t.Helper()
	if err := m.leave(); err != nil {
		m.w.t.Errorf("%s: Consume: %v", m.name, err)
	}
}

// crash ends the member as kill -9 does.
func (m *member) crash() {
	m.once.Do(func() {
		m.client.crash()
		m.stop()
		<-m.ended
		_ = m.bus.Close()
	})
}

// patience bounds waits for what must happen; in memory it is virtual.
const patience = time.Minute

func (w *world) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.t.Context(), patience)
}

// explain logs what members noticed last, for a failure.
func (w *world) explain() {
	w.seen.mu.Lock()
	defer w.seen.mu.Unlock()
	for who, x := range w.seen.last {
		w.t.Logf("%s: %s %v", who, x.Text, x.Err)
	}
}

// progress waits until the store holds n effects.
func (w *world) progress(n int) {
	w.t.Helper()
	ctx, cancel := w.within()
	defer cancel()
	if !w.store.Progress.Await(ctx, n) {
		w.explain()
		w.t.Fatalf("%d of %d effects after %v", w.store.Progress.Value(), n, patience)
	}
}

// drained waits until the group has finished all that is stored.
func (w *world) drained() {
	w.t.Helper()
	w.until("the group does not finish", func() bool {
		lag, err := w.bus.Lag(w.t.Context(), group)
		return err == nil && len(lag.Lanes) > 0 && lag.Pending == 0
	})
}

// until asks again and again, until ok or out of patience.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	ctx, cancel := w.within()
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.explain()
			w.t.Fatalf("%s within %v", what, patience)
		}
	}
}

// wait lets d pass, where the passing of time is the fault itself.
func (w *world) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.t.Context().Done():
	}
}

// between is a random duration in [a, b).
func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.dice.Int64N(int64(b-a)))
}
