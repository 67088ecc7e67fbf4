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
// traffic. An instance that was handed a lane is catching up until liveStreak
// messages in a row reached their handlers within liveWithin; what is stored
// behind them counts, however slow the instance becomes. What was redriven is
// not measured.
type Meter struct {
	service, instance string

	mu      sync.Mutex
	values  map[series]float64
	latency map[series][]time.Duration // a real service keeps a histogram
	last    map[place]uint64
	lanes   map[string]progress // by group and lane
}

// progress is how far an instance has come to being live on a lane.
type progress struct {
	streak int    // messages in a row within liveWithin
	live   uint64 // the position of the first live message; 0: none yet
}

const (
	// liveWithin is the strictest target of specification §13.
	liveWithin = 50 * time.Millisecond
	// liveStreak: what has piled up for some keys is handled among what is new
	// for others, so one quick message is no sign of having caught up.
	liveStreak = 20
)

// series is a metric and its labels; what a metric does not have stays empty.
type series struct{ name, domain, group, result string }

// place is where a group has come to in one key of a log.
type place struct{ group, log, key string }

// NewMeter returns a Meter that has counted nothing.
func NewMeter(service, instance string) *Meter {
	return &Meter{
		service: service, instance: instance,
		values: make(map[series]float64), latency: make(map[series][]time.Duration),
		last: make(map[place]uint64), lanes: make(map[string]progress),
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
	if !m.isLive(e) {
		s.name = MetricCatchUp
		m.values[s]++
		return
	}
	s.name = MetricLatency
	m.latency[s] = append(m.latency[s], e.Latency)
}

func (m *Meter) isLive(e ampybus.ConsumeEvent) bool {
	lane := e.Group + "|" + e.Message.Lane
	p := m.lanes[lane]
	if p.live == 0 {
		if p.streak++; e.Latency > liveWithin {
			p.streak = 0
		}
		if p.streak == liveStreak {
			p.live = e.Message.Pos
		}
		m.lanes[lane] = p
	}
	return p.live != 0 && e.Message.Pos >= p.live
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
	delete(m.lanes, n.Group+"|"+n.Lane)
}

func domain(topic string) string {
	parts := strings.SplitN(topic, ".", 4)
	if len(parts) < 4 {
		return ""
	}
	return parts[2]
}
