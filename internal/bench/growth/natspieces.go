package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// natsPieces shows what it costs to publish to a domain that an operator has cut
// into streams: the bus asks the server for each topic, once.
func natsPieces() sweep {
	return sweep{
		curve: Curve{Name: "pieces", Title: "NATS, symbols of a domain that an operator has cut into two streams", X: "symbols", Columns: []Column{
			each("client µs/msg, first to each"), each("broker µs/msg, first to each"), noted("msg/s"),
			each("client µs/msg, second"), each("broker µs/msg, second"), noted("msg/s, second"),
		}},
		xs: []int{100, 1_000, 10_000, 50_000},
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			if err := r.cut(ctx, "ampy.dev.bars.v1.XNAS.>", "ampy.dev.bars.v1.XNYS.>"); err != nil {
				return nil, err
			}
			bus, err := r.nats(natsbinding.Config{})
			if err != nil {
				return nil, err
			}
			defer bus.Close()
			to := &spread{to: bench.Bus{Bus: bus}, topics: symbols(x)}
			first, err := r.publish(ctx, to, bars(x, 1, small))
			if err != nil {
				return nil, err
			}
			second, err := r.publish(ctx, to, bars(x, 1, small))
			return []float64{
				first.clientMicros(), first.brokerMicros(), first.rate(), second.clientMicros(), second.brokerMicros(), second.rate(),
			}, err
		},
	}
}

// cut makes a stream for each subject, as an operator would.
func (r *rig) cut(ctx context.Context, subjects ...string) error {
	nc, err := nats.Connect(r.url)
	if err != nil {
		return fmt.Errorf("make streams: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("make streams: %w", err)
	}
	for i, s := range subjects {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: fmt.Sprintf("PIECE%d", i), Subjects: []string{s}}); err != nil {
			return fmt.Errorf("make streams: %w", err)
		}
	}
	return nil
}
