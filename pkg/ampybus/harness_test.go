package ampybus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

const (
	ordersTopic = "ampy.dev.orders.v1.requests"
	newsTopic   = "ampy.dev.news.v1.raw"
	ordersDLQ   = "ampy.dev.dlq.v1.orders"
)

// world is a memory broker with one bus, inside a bubble of virtual time.
type world struct {
	t      *testing.T
	broker *membinding.Broker
	bus    *ampybus.Bus
	seen   *recorder
}

// inWorld runs f with a broker under virtual time: waits cost nothing and
// timers fire in order.
func inWorld(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, broker: membinding.New(membinding.Config{}), seen: &recorder{}}
		w.bus = w.broker.Connect(ampybus.Options{Observer: w.seen})
		defer func() {
			if err := w.bus.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}()
		f(w)
	})
}

// envelope makes an order of key with the given payload.
func envelope(topic, key, payload string) ampybus.Envelope {
	tp, _ := ampybus.ParseTopic(topic)
	p, _ := ampybus.PolicyFor(tp.Domain)
	h := ampybus.NewHeaders(p.SchemaFor(tp.Subtopic), "test@1", "test", key)
	h.RunID = "run_test"
	return ampybus.Envelope{Topic: topic, Headers: h, Payload: []byte(payload)}
}

func (w *world) publish(topic, key, payload string) ampybus.Envelope {
	w.t.Helper()
	e := envelope(topic, key, payload)
	w.send(e)
	return e
}

func (w *world) send(e ampybus.Envelope) {
	w.t.Helper()
	if err := w.bus.Publish(context.Background(), e.Topic, e.Headers, e.Payload); err != nil {
		w.t.Fatalf("Publish: %v", err)
	}
}

// consume runs Consume until the returned stop is called, which returns its error.
func (w *world) consume(c ampybus.Consumer, h ampybus.Handler) (stop func() error) {
	return w.consumeOn(w.bus, c, h)
}

func (w *world) consumeOn(b *ampybus.Bus, c ampybus.Consumer, h ampybus.Handler) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, c, h) }()
	var once sync.Once
	var err error
	return func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
}

func (w *world) mustStop(stop func() error) {
	w.t.Helper()
	if err := stop(); err != nil {
		w.t.Errorf("Consume: %v", err)
	}
}

// settle lets everything happen that can happen within d.
func settle(d time.Duration) { time.Sleep(d); synctest.Wait() }

// read returns all messages of a pattern.
func (w *world) read(pattern string) []*ampybus.Message {
	w.t.Helper()
	var ms []*ampybus.Message
	for m, err := range w.bus.Read(context.Background(), ampybus.Range{Pattern: pattern}) {
		if m == nil {
			w.t.Fatalf("Read: %v", err)
		}
		ms = append(ms, m)
	}
	return ms
}

func (w *world) payloads(pattern string) []string {
	var ps []string
	for _, m := range w.read(pattern) {
		ps = append(ps, string(m.Record.Value))
	}
	return ps
}

// effects records what handlers did, by key and in order.
type effects struct {
	mu  sync.Mutex
	all []string
	by  map[string][]string
}

func (e *effects) add(m *ampybus.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.by == nil {
		e.by = make(map[string][]string)
	}
	e.all = append(e.all, string(m.Payload))
	e.by[m.Headers.PartitionKey] = append(e.by[m.Headers.PartitionKey], string(m.Payload))
}

func (e *effects) of(key string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprint(e.by[key])
}

func (e *effects) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.all)
}

// recorder is an observer that keeps what it sees.
type recorder struct {
	mu        sync.Mutex
	published []ampybus.PublishEvent
	results   map[ampybus.Result]int
	notices   []ampybus.Notice
}

func (r *recorder) Published(e ampybus.PublishEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published = append(r.published, e)
}

func (r *recorder) Consumed(e ampybus.ConsumeEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.results == nil {
		r.results = make(map[ampybus.Result]int)
	}
	r.results[e.Result]++
}

func (r *recorder) Noticed(n ampybus.Notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notices = append(r.notices, n)
}

func (r *recorder) result(x ampybus.Result) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.results[x]
}

func (r *recorder) noticed(k ampybus.NoticeKind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, x := range r.notices {
		if x.Kind == k {
			n++
		}
	}
	return n
}

var errHandler = errors.New("cannot apply")

func extra(name, value string) driver.Header { return driver.Header{Name: name, Value: value} }

// raw stores a record behind the bus's back, as a foreign client might.
func (w *world) raw(topic, key string, hs []driver.Header, value string) {
	w.t.Helper()
	w.store(driver.Record{Topic: topic, Key: key, Headers: hs, Value: []byte(value)})
}

// again stores e once more under another publish id, past the broker's own
// deduplication.
func (w *world) again(e ampybus.Envelope, payload string) {
	w.t.Helper()
	h := e.Headers
	h.Topic = e.Topic
	h.PayloadHash = ampybus.PayloadHash([]byte(payload))
	w.raw(e.Topic, h.PartitionKey, ampybus.EncodeHeaders(h), payload)
}

func (w *world) store(r driver.Record) {
	w.t.Helper()
	done := make(chan error, 1)
	w.bus.Transport().Publish([]driver.Record{r}, func(_ int, o driver.Outcome) { done <- o.Err })
	if err := <-done; err != nil {
		w.t.Fatalf("store: %v", err)
	}
}
