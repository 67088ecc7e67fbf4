package service

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	metricsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/metrics/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

const (
	// reportEvery is also what a killed instance takes with it, at most.
	reportEvery = 250 * time.Millisecond
	// lastReport bounds the report of a service that ends.
	lastReport = 5 * time.Second
)

// Report publishes the metrics until ctx ends, and then once more.
func (m *Meter) Report(ctx context.Context, bus *ampybus.Bus, c Config) error {
	t := time.NewTicker(reportEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := m.Publish(ctx, bus, c); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastReport)
			defer cancel()
			return m.Publish(last, bus, c)
		}
	}
}

// Publish sends one batch for each metric name: the key of metrics is the
// service and the name (specification §7).
func (m *Meter) Publish(ctx context.Context, bus *ampybus.Bus, c Config) error {
	topic := c.Topic(ampybus.DomainMetrics, m.service)
	var es []ampybus.Envelope
	for _, batch := range m.batches(time.Now()) {
		e, err := Envelope(protopayload.Draft{
			Topic: topic, Message: batch,
			Producer: c.Producer(m.service), Source: m.service, RunID: c.RunID,
		}, nil)
		if err != nil {
			return err
		}
		es = append(es, e)
	}
	if err := bus.PublishBatch(ctx, es...); err != nil {
		return fmt.Errorf("report metrics: %w", err)
	}
	return nil
}

func (m *Meter) batches(now time.Time) []*metricsv1.MetricBatch {
	values := m.snapshot()
	order := slices.SortedFunc(maps.Keys(values), func(a, b sample) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.domain+a.group+a.result+a.quantile, b.domain+b.group+b.result+b.quantile))
	})
	var all []*metricsv1.MetricBatch
	for i, s := range order {
		if i == 0 || order[i-1].name != s.name {
			all = append(all, &metricsv1.MetricBatch{})
		}
		b := all[len(all)-1]
		b.Metrics = append(b.Metrics, &metricsv1.Metric{
			Name: s.name, Labels: s.labels(m.instance), Value: values[s], At: timestamppb.New(now),
		})
	}
	return all
}

// sample is a series, or one quantile of it.
type sample struct {
	series
	quantile string
}

func (s sample) labels(instance string) map[string]string {
	l := map[string]string{"instance": instance}
	for name, v := range map[string]string{"domain": s.domain, "group": s.group, "result": s.result, "quantile": s.quantile} {
		if v != "" {
			l[name] = v
		}
	}
	return l
}

func (m *Meter) snapshot() map[sample]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	values := make(map[sample]float64, len(m.values)+3*len(m.latency))
	for s, v := range m.values {
		values[sample{series: s}] = v
	}
	for s, ds := range m.latency {
		slices.Sort(ds)
		for _, q := range []struct {
			label string
			part  float64
		}{{"0.5", 0.5}, {"0.99", 0.99}, {"1", 1}} {
			d := ds[min(int(q.part*float64(len(ds))), len(ds)-1)]
			values[sample{s, q.label}] = float64(d) / float64(time.Millisecond)
		}
	}
	return values
}
