package main

import (
	"context"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// The sweeps of Kafka use the cluster that is there: its heap is its own affair,
// so that column is empty, and its CPU is known with -broker-pid.

// kafkaDefault is what the binding makes for a topic.
const kafkaDefault = 6

// kafkaTopic is a topic that no run before has used.
func kafkaTopic() string { return barsTopic + "." + newGroup() }

// kafkaPoint runs on a topic and connection of its own.
func kafkaPoint(partitions func(x int) int, run func(ctx context.Context, r *rig, bus *ampybus.Bus, topic string, x int) ([]float64, error)) func(context.Context, *rig, int) ([]float64, error) {
	return func(ctx context.Context, r *rig, x int) ([]float64, error) {
		topic := kafkaTopic()
		bus, err := r.onKafka(topic, partitions(x), nil)
		if err != nil {
			return nil, err
		}
		defer bus.Close()
		return run(ctx, r, bus, topic, x)
	}
}

func sixPartitions(int) int { return kafkaDefault }

func kafkaKeys() sweep {
	return sweep{
		curve: Curve{Name: "kafka-keys", Title: "Kafka, partition keys, 6 partitions, 128 B", X: "keys", Columns: flowColumns()},
		xs:    []int{1, 10, 100, 1_000, 10_000, 100_000, 1_000_000}, rounds: 2, kafka: true,
		point: kafkaPoint(sixPartitions, func(ctx context.Context, r *rig, bus *ampybus.Bus, topic string, x int) ([]float64, error) {
			l := on(topic, bars(max(countFor(x), 100_000), x, small))
			return r.flow(ctx, bus, l)
		}),
	}
}

func kafkaSizes() sweep {
	return sweep{
		curve: Curve{Name: "kafka-sizes", Title: "Kafka, bytes of a payload, 4,096 keys, 6 partitions", X: "bytes", Columns: inProportion(flowColumns())},
		xs:    []int{128, 1_024, 8_192, 65_536}, rounds: 2, kafka: true,
		point: kafkaPoint(sixPartitions, func(ctx context.Context, r *rig, bus *ampybus.Bus, topic string, x int) ([]float64, error) {
			l := on(topic, bars(countOfSize(x), quickKeys, x))
			return r.flow(ctx, bus, l)
		}),
	}
}

func kafkaPartitions() sweep {
	return sweep{
		curve: Curve{Name: "kafka-partitions", Title: "Kafka, partitions of a topic, one member, 128 B", X: "partitions", Columns: flowColumns()},
		xs:    []int{1, 4, 16, 64}, rounds: 2, kafka: true,
		point: kafkaPoint(func(x int) int { return x }, func(ctx context.Context, r *rig, bus *ampybus.Bus, topic string, _ int) ([]float64, error) {
			l := on(topic, bars(200_000, quickKeys, small))
			return r.flow(ctx, bus, l)
		}),
	}
}

func kafkaLag() sweep {
	return sweep{
		curve: Curve{Name: "kafka-lag", Title: "Kafka, messages that a new group is behind, 6 partitions, 128 B", X: "messages behind", Columns: lagColumns()},
		xs:    []int{10_000, 100_000, 1_000_000, 5_000_000}, kafka: true,
		point: kafkaPoint(sixPartitions, func(ctx context.Context, r *rig, bus *ampybus.Bus, topic string, x int) ([]float64, error) {
			return r.behind(ctx, bus, topic, x)
		}),
	}
}

func kafkaGroups() sweep {
	return sweep{
		curve: Curve{Name: "kafka-groups", Title: "Kafka, groups on one topic, a connection each, in one process, 6 partitions, 128 B", X: "groups", Columns: groupColumns()},
		xs:    []int{1, 2, 5, 10, 20, 50}, kafka: true,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			topic := kafkaTopic()
			return r.groups(ctx, topic, x, kafkaDefault, func(o ampybus.Observer) (*ampybus.Bus, error) {
				return r.onKafka(topic, kafkaDefault, o)
			})
		},
	}
}
