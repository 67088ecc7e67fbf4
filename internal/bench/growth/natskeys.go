package main

import (
	"context"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// flowColumns are of publishing and consuming the same messages.
func flowColumns() []Column {
	return []Column{
		noted("publish msg/s"), each("client µs/msg"), each("broker µs/msg"),
		noted("consume msg/s"), each("client µs/msg (consume)"), each("broker µs/msg (consume)"),
		total("client heap MB"), total("broker heap MB"),
	}
}

// inProportion lets columns grow with X.
func inProportion(columns []Column) []Column {
	for i := range columns {
		columns[i].Power = 1
	}
	return columns
}

func flowValues(pub, con cost) []float64 {
	return []float64{
		pub.rate(), pub.clientMicros(), pub.brokerMicros(), con.rate(), con.clientMicros(), con.brokerMicros(),
		mega(max(pub.peak.live, con.peak.live)), mega(con.after.Heap),
	}
}

// flow publishes a load and has a new group take it.
func (r *rig) flow(ctx context.Context, bus *ampybus.Bus, l bench.Load) ([]float64, error) {
	pub, err := r.publish(ctx, bench.Bus{Bus: bus}, l)
	if err != nil {
		return nil, err
	}
	con, err := r.work(ctx, l.Count, member{bus, ampybus.Consumer{Pattern: l.Topic, Group: newGroup()}})
	if err != nil {
		return nil, err
	}
	return flowValues(pub, con), nil
}

func natsKeys() sweep {
	return sweep{
		curve: Curve{Name: "keys", Title: "NATS, partition keys on one subject, 128 B", X: "keys", Columns: flowColumns()},
		xs:    []int{1, 10, 100, 1_000, 10_000, 100_000, 1_000_000}, rounds: 2,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			bus, err := r.nats(natsbinding.Config{})
			if err != nil {
				return nil, err
			}
			defer bus.Close()
			return r.flow(ctx, bus, bars(countFor(x), x, small))
		},
	}
}

// countFor is fewer messages where each key waits for its round trip, and at
// least one for each key.
func countFor(keys int) int {
	switch {
	case keys < 10:
		return 20_000
	case keys < 100:
		return 60_000
	}
	return max(200_000, keys)
}

// natsSizes shows what bytes cost beside messages.
func natsSizes() sweep {
	return sweep{
		curve: Curve{Name: "sizes", Title: "NATS, bytes of a payload, 4,096 keys", X: "bytes", Columns: inProportion(flowColumns())},
		xs:    []int{128, 1_024, 8_192, 65_536}, rounds: 2,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			bus, err := r.nats(natsbinding.Config{})
			if err != nil {
				return nil, err
			}
			defer bus.Close()
			return r.flow(ctx, bus, bars(countOfSize(x), quickKeys, x))
		},
	}
}

// countOfSize keeps a run below 1 GB.
func countOfSize(bytes int) int { return min(200_000, 1_000_000_000/bytes) }

// natsSync shows what is left when each write is synced. A key has one message
// under way, so keys are messages under way.
func natsSync() sweep {
	return sweep{
		curve: Curve{Name: "sync", Title: "NATS with sync_interval: always, keys under way, 1 KiB", X: "keys", Columns: flowColumns()},
		xs:    []int{1, 16, 256, quickKeys}, sync: true,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			bus, err := r.nats(natsbinding.Config{})
			if err != nil {
				return nil, err
			}
			defer bus.Close()
			return r.flow(ctx, bus, bars(min(20_000, 2_000*x), x, usual))
		},
	}
}

// natsReplicas compares streams of one and three replicas on one cluster. The
// broker's figures are those of all nodes together.
func natsReplicas() sweep {
	return sweep{
		curve: Curve{Name: "replicas", Title: "NATS, replicas of a stream in a cluster of three, 1 KiB, 4,096 keys", X: "replicas", Columns: inProportion(flowColumns())},
		xs:    []int{1, 3}, nodes: 3, rounds: 2,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			bus, err := r.nats(natsbinding.Config{Replicas: x})
			if err != nil {
				return nil, err
			}
			defer bus.Close()
			return r.flow(ctx, bus, bars(100_000, quickKeys, usual))
		},
	}
}
