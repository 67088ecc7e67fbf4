package main

import (
	"context"
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

func natsLag() sweep {
	return sweep{
		curve: Curve{Name: "lag", Title: "NATS, messages that a new group is behind, 128 B", X: "messages behind", Columns: lagColumns()},
		xs:    []int{10_000, 100_000, 1_000_000, 10_000_000}, keep: true,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			bus, err := r.nats(natsbinding.Config{})
			if err != nil {
				return nil, err
			}
			defer bus.Close()
			return r.behind(ctx, bus, barsTopic, x)
		},
	}
}

func lagColumns() []Column {
	return []Column{
		each("first message ms"), noted("catch-up msg/s"), each("client µs/msg"), each("broker µs/msg"),
		total("client heap MB"), noted("client memory MB"), total("broker heap MB"), noted("broker memory MB"),
		each("join at the end ms"), each("read from the middle, first ms"),
	}
}

// behind stores what is missing to x messages, and has new groups begin at the
// oldest and behind the newest of them.
func (r *rig) behind(ctx context.Context, bus *ampybus.Bus, topic string, x int) ([]float64, error) {
	l := on(topic, bars(x-r.held, quickKeys, small))
	began := time.Now()
	if _, err := r.publish(ctx, bench.Bus{Bus: bus}, l); err != nil {
		return nil, err
	}
	middle := began.Add(time.Since(began) / 2)
	r.held = x
	con, err := r.work(ctx, x, member{bus, ampybus.Consumer{Pattern: topic, Group: newGroup()}})
	if err != nil {
		return nil, err
	}
	joined, err := joinAtEnd(ctx, bus, l)
	if err != nil {
		return nil, err
	}
	read, err := readOne(ctx, bus, ampybus.Range{Pattern: topic, Start: middle, Limit: 1})
	if err != nil {
		return nil, err
	}
	return []float64{
		millis(con.first), con.rate(), con.clientMicros(), con.brokerMicros(),
		mega(con.peak.live), mega(con.peak.taken), mega(con.after.Heap), mega(con.after.Resident),
		millis(joined), millis(read),
	}, nil
}

// joinAtEnd is the time until a new group that wants nothing of the past has
// what is published next.
func joinAtEnd(ctx context.Context, bus *ampybus.Bus, l bench.Load) (time.Duration, error) {
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	began := time.Now()
	var took time.Duration
	ended := make(chan error, 1)
	got := make(chan struct{}, 1)
	go func() {
		ended <- bus.Consume(ctx, ampybus.Consumer{Pattern: l.Topic, Group: newGroup(), StartNew: true},
			func(context.Context, *ampybus.Message) error {
				select {
				case got <- struct{}{}:
					took = time.Since(began)
				default:
				}
				return nil
			})
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	h := ampybus.NewHeaders(l.Schema, l.Producer, l.Source, l.Key)
	for {
		if err := bus.Publish(ctx, l.Topic, h, nil); err != nil {
			return 0, err
		}
		h = ampybus.NewHeaders(l.Schema, l.Producer, l.Source, l.Key)
		select {
		case <-got:
			quit()
			return took, <-ended
		case err := <-ended:
			return 0, fmt.Errorf("join: it ended early: %w", err)
		case <-tick.C:
		}
	}
}

func readOne(ctx context.Context, bus *ampybus.Bus, window ampybus.Range) (time.Duration, error) {
	began := time.Now()
	for _, err := range bus.Read(ctx, window) {
		return time.Since(began), err
	}
	return 0, fmt.Errorf("read %s: nothing is there", window.Pattern)
}
