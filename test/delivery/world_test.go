package delivery

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/chaos"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

const dlqPattern = "ampy.dev.dlq.v1.>"

// world is a scene on one broker, in this process.
type world struct {
	*chaos.Scene
	t      *testing.T
	broker broker
	log    string // of the topic
	first  uint64 // position of a log
	lease  time.Duration
	// shortest is a lease that a loaded machine can renew.
	shortest time.Duration
	slow     bool          // starting the broker again takes seconds
	pace     time.Duration // of a handler that works slowly
	// ceiling of what members publish. Zero: the domain's.
	ceiling time.Duration
	main    client // of Bus
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
	ctx, cancel := w.Within()
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
			w.Fail("the lane's owner is still %q", name)
		}
	}
}

// on runs a scenario on each broker: in memory, where time is virtual, and on a
// nats-server and an embedded Kafka, where it is not.
func on(t *testing.T, topic string, scenario func(w *world)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { inMemory(t, topic, scenario) })
	t.Run("nats", func(t *testing.T) { onNATS(t, topic, scenario) })
	t.Run("kafka", func(t *testing.T) { onKafka(t, topic, scenario) })
}

func inMemory(t *testing.T, topic string, scenario func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, topic, &memBroker{t, membinding.New(membinding.Config{})})
		w.lease, w.log = 10*time.Second, "ampy.dev.orders"
		if topic == chaos.NewsTopic {
			w.log = "ampy.dev.news"
		}
		w.run(scenario)
	})
}

func onNATS(t *testing.T, topic string, scenario func(w *world)) {
	t.Helper()
	w := newWorld(t, topic, startNATS(t))
	w.lease, w.log = 2*time.Second, "AMPY_DEV_ORDERS"
	if topic == chaos.NewsTopic {
		w.log = "AMPY_DEV_NEWS"
	}
	w.run(scenario)
}

func newWorld(t *testing.T, topic string, b broker) *world {
	t.Helper()
	w := &world{
		Scene: chaos.NewScene(t, topic), t: t, broker: b,
		shortest: 400 * time.Millisecond, pace: time.Millisecond, first: 1,
		seen: &notices{kinds: make(map[ampybus.NoticeKind]int), last: make(map[string]ampybus.Notice)},
	}
	w.Explain = w.seen.explain(t)
	return w
}

// short makes leases as short as a loaded machine can renew, for scenarios
// that wait for them to end.
func (w *world) short() { w.lease = w.shortest }

func (w *world) run(scenario func(w *world)) {
	w.main = w.broker.client()
	// Faults follow each other faster than those of a real day: what matters is
	// the outcome in the end.
	w.Connect(w.main.transport(), ampybus.Options{PublishCeiling: time.Minute})
	defer func() {
		if err := w.Bus.Close(); err != nil {
			w.t.Errorf("close: %v", err)
		}
	}()
	scenario(w)
}

// onKafka tells where scenarios count other things.
func (w *world) onKafka() bool { return w.main.transport().Name() == "kafka" }

// consumer is the group's configuration.
func (w *world) consumer() ampybus.Consumer {
	return ampybus.Consumer{Pattern: w.Topic, Group: chaos.Group, Lease: w.lease, Workers: 8, CommitEvery: w.lease / 4}
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
	bell := &doorbell{w.History.Transport(name, m.client.transport()), make(chan struct{})}
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

// explain logs what members noticed last.
func (n *notices) explain(tb testing.TB) func() {
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for who, x := range n.last {
			tb.Logf("%s: %s %v", who, x.Text, x.Err)
		}
	}
}
