package service

import (
	"strings"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Metric names (specification §11), and the labels that they carry here.
const (
	MetricProduced   = "bus.produced_total"         // domain, result: stored, duplicate or failed
	MetricConsumed   = "bus.consumed_total"         // domain, group, result: ok, retry, dlq, duplicate, released
	MetricCatchUp    = "bus.catchup_total"          // domain, group: stored before the instance was live
	MetricInversions = "bus.order_inversions_total" // domain, group: applied behind a later one of its key
	MetricLatency    = "bus.delivery_latency_ms"    // domain, group, quantile
)

// A Meter counts what the bus of one service instance does.
//
// Latency is from produced_at to the start of the first attempt, of live
// traffic. An instance that was handed a lane is catching up until a message
// reaches its handler within liveWithin; what is stored behind that one counts,
// however slow the instance becomes. What was redriven is not measured.
type Meter struct {
	service, instance string

	mu      sync.Mutex
	values  map[series]float64
	latency map[series][]time.Duration // a real service keeps a histogram
	last    map[place]uint64
	live    map[string]uint64 // by group and lane: the position of the first live message
}

// liveWithin is well below the strictest target of specification §13, and
// well above what a service that has caught up needs.
const liveWithin = 10 * time.Millisecond

// series is a metric and its labels; what a metric does not have stays empty.
type series struct{ name, domain, group, result string }

// place is where a group has come to in one key of a log.
type place struct{ group, log, key string }

// NewMeter returns a Meter that has counted nothing.
func NewMeter(service, instance string) *Meter {
	return &Meter{
		service: service, instance: instance,
		values: make(map[series]float64), latency: make(map[series][]time.Duration),
		last: make(map[place]uint64), live: make(map[string]uint64),
	}
}

// Set records the value of a metric of the service's own.
func (m *Meter) Set(name string, v float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[series{name: name}] = v
}

// Count adds one to a counter of the service's own.
func (m *Meter) Count(name string) { m.add(series{name: name}) }

func (m *Meter) add(s series) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[s]++
}

// Published implements ampybus.Observer.
func (m *Meter) Published(e ampybus.PublishEvent) {
	result := "stored"
	switch {
	case e.Err != nil:
		result = "failed"
	case e.Duplicate:
		result = "duplicate"
	}
	m.add(series{name: MetricProduced, domain: domain(e.Topic), result: result})
}

// Consumed implements ampybus.Observer.
func (m *Meter) Consumed(e ampybus.ConsumeEvent) {
	s := series{name: MetricConsumed, domain: domain(e.Message.Topic), group: e.Group, result: string(e.Result)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[s]++
	s.result = ""
	if e.Result == ampybus.ResultOK {
		m.order(s, e)
	}
	ran := e.Result == ampybus.ResultOK || e.Result == ampybus.ResultRetry
	if ran && e.Message.Attempt == 1 && e.Message.Headers.RetryCount == 0 {
		m.measure(s, e)
	}
}

// measure notes how long a first delivery took.
func (m *Meter) measure(s series, e ampybus.ConsumeEvent) {
	lane := e.Group + "|" + e.Message.Lane
	if _, live := m.live[lane]; !live && e.Latency <= liveWithin {
		m.live[lane] = e.Message.Pos
	}
	if from, live := m.live[lane]; !live || e.Message.Pos < from {
		s.name = MetricCatchUp
		m.values[s]++
		return
	}
	s.name = MetricLatency
	m.latency[s] = append(m.latency[s], e.Latency)
}

// order checks what the bus promises: the messages of a key are applied in the
// order of the log.
func (m *Meter) order(s series, e ampybus.ConsumeEvent) {
	p := place{e.Group, e.Message.Log, e.Message.Headers.PartitionKey}
	if e.Message.Pos <= m.last[p] && m.last[p] != 0 {
		s.name = MetricInversions
		m.values[s]++
	}
	m.last[p] = e.Message.Pos
}

// Noticed implements ampybus.Observer.
func (m *Meter) Noticed(n ampybus.Notice) {
	if n.Kind != ampybus.NoticeAssigned {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.live, n.Group+"|"+n.Lane)
}

func domain(topic string) string {
	parts := strings.SplitN(topic, ".", 4)
	if len(parts) < 4 {
		return ""
	}
	return parts[2]
}
