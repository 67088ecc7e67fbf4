// Package monitor is the dashboard of the example: it consumes metrics.v1 of
// all services, and positions.v1, and keeps the latest value of each series.
package monitor

import (
	"context"
	"errors"
	"strings"
	"sync"

	metricsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/metrics/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const (
	// Name is the service's name.
	Name = "monitor"
	// MetricsGroup is its group on metrics.v1.
	MetricsGroup = "monitor-metrics"
	// PositionsGroup is its group on positions.v1.
	PositionsGroup = "monitor-positions"
)

// Labels say which series; as a filter, an empty field stands for any.
type Labels struct{ Service, Instance, Domain, Group, Result, Quantile string }

// Series is one metric of one service instance.
type Series struct {
	Name string
	Labels
}

// Dashboard holds the latest value of each series, and the latest snapshot of
// each position. The zero value is not usable: see New.
type Dashboard struct {
	mu        sync.Mutex
	values    map[Series]float64
	positions map[string]*positionsv1.PositionSnapshot
}

// New returns an empty dashboard.
func New() *Dashboard {
	return &Dashboard{values: make(map[Series]float64), positions: make(map[string]*positionsv1.PositionSnapshot)}
}

// Run keeps d up to date until ctx ends.
func (d *Dashboard) Run(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	positions := make(chan error, 1)
	go func() {
		defer stop()
		positions <- d.watchPositions(ctx, bus, c)
	}()
	err := d.watchMetrics(ctx, bus, c)
	stop()
	return errors.Join(err, <-positions)
}

// Load reads all metrics of the session from the log, and returns how many
// records that were: the whole picture, when the services have ended.
func (d *Dashboard) Load(ctx context.Context, bus *ampybus.Bus, c service.Config) (records int, err error) {
	past := service.NewLog[*metricsv1.MetricBatch](bus, c, c.Topic(ampybus.DomainMetrics, ">"))
	err = past.CatchUp(ctx, func(m *ampybus.Message, b *metricsv1.MetricBatch) error {
		if m.Headers.RunID == c.RunID {
			records++
			d.note(m.Topic, b)
		}
		return nil
	})
	return records, err
}

func (d *Dashboard) watchMetrics(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	group := c.Consumer(MetricsGroup, c.Topic(ampybus.DomainMetrics, ">"))
	return bus.Consume(ctx, group, service.Decoded(
		func(_ context.Context, m *ampybus.Message, b *metricsv1.MetricBatch) error {
			if m.Headers.RunID == c.RunID {
				d.note(m.Topic, b)
			}
			return nil
		}))
}

func (d *Dashboard) note(topic string, b *metricsv1.MetricBatch) {
	service := topic[strings.LastIndexByte(topic, '.')+1:]
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range b.GetMetrics() {
		l := x.GetLabels()
		d.values[Series{x.GetName(), Labels{
			Service: service, Instance: l["instance"], Domain: l["domain"],
			Group: l["group"], Result: l["result"], Quantile: l["quantile"],
		}}] = x.GetValue()
	}
}

// watchPositions keeps the latest: snapshots of a key have growing as_of.
func (d *Dashboard) watchPositions(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	group := c.Consumer(PositionsGroup, c.Topic(ampybus.DomainPositions, ">"))
	return bus.Consume(ctx, group, service.Decoded(
		func(_ context.Context, m *ampybus.Message, s *positionsv1.PositionSnapshot) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			old := d.positions[m.Headers.PartitionKey]
			if s.GetAsOf().AsTime().After(old.GetAsOf().AsTime()) {
				d.positions[m.Headers.PartitionKey] = s
			}
			return nil
		}))
}

// Position is the latest snapshot of a position, or nil.
func (d *Dashboard) Position(key string) *positionsv1.PositionSnapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.positions[key]
}

// Sum adds up what matches: for counters.
func (d *Dashboard) Sum(name string, l Labels) float64 {
	var sum float64
	d.each(name, l, func(v float64) { sum += v })
	return sum
}

// Max is the largest of what matches: for quantiles, which do not add up.
func (d *Dashboard) Max(name string, l Labels) float64 {
	var most float64
	d.each(name, l, func(v float64) { most = max(most, v) })
	return most
}

func (d *Dashboard) each(name string, l Labels, f func(float64)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s, v := range d.values {
		if s.Name == name && l.match(s.Labels) {
			f(v)
		}
	}
}

func (l Labels) match(s Labels) bool {
	ok := func(want, has string) bool { return want == "" || want == has }
	return ok(l.Service, s.Service) && ok(l.Instance, s.Instance) && ok(l.Domain, s.Domain) &&
		ok(l.Group, s.Group) && ok(l.Result, s.Result) && ok(l.Quantile, s.Quantile)
}
