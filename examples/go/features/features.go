// Package features turns bars into scores: it consumes bars.v1 and publishes
// one ALPHA signal for each of its models and each batch. A score is a function
// of the batch alone, so a batch that comes again, or late, gives the same one.
package features

import (
	"context"
	"time"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

const (
	// Name is the service's name, and its group's.
	Name = "features"
	// Horizon is how far the scores look ahead: five trading days, a week.
	Horizon  = "5d"
	lifetime = 7 * 24 * time.Hour
	// scoreScale: a score has four decimals, 0.0150 is 1.5 %.
	scoreScale = 4
	scoreUnit  = 10_000
)

// A Model scores one week of bars, in ten-thousandths.
type Model struct {
	ID    string
	Score func(week []*barsv1.Bar) int64
}

// Models are the models that the service runs.
func Models() []Model {
	return []Model{{"momentum@1", momentum}, {"reversion@1", reversion}}
}

// momentum expects that the week's move goes on.
func momentum(week []*barsv1.Bar) int64 {
	return move(week[0].GetOpen(), week[len(week)-1].GetClose())
}

// reversion expects that half of the last day's move comes back.
func reversion(week []*barsv1.Bar) int64 {
	last := week[len(week)-1]
	return -move(last.GetOpen(), last.GetClose()) / 2
}

func move(from, to *commonv1.Decimal) int64 {
	if from.GetScaled() == 0 || from.GetScale() != to.GetScale() {
		return 0
	}
	return (to.GetScaled() - from.GetScaled()) * scoreUnit / from.GetScaled()
}

// Run consumes until ctx ends.
func Run(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	group := c.Consumer(Name, c.Topic(ampybus.DomainBars, ">"))
	return bus.Consume(ctx, group, service.Decoded(
		func(ctx context.Context, m *ampybus.Message, batch *barsv1.BarBatch) error {
			return publish(ctx, bus, c, m, batch)
		}))
}

func publish(ctx context.Context, bus *ampybus.Bus, c service.Config, m *ampybus.Message, batch *barsv1.BarBatch) error {
	if len(batch.GetBars()) == 0 {
		return nil
	}
	for _, model := range Models() {
		s := signal(model, batch.GetBars())
		// The run is part of the key: two sessions score the same days.
		key := m.Headers.RunID + "|" + model.ID + "|" + m.Headers.PartitionKey + "|" + s.GetGeneratedAt().AsTime().Format(time.DateOnly)
		err := service.Publish(ctx, bus, protopayload.Draft{
			Topic: c.Topic(ampybus.DomainSignals, model.ID), Message: s,
			Producer: c.Producer(Name), Source: Name, DedupeKey: key,
		}, m)
		if err != nil {
			return err
		}
	}
	return nil
}

// signal is what a model says when the week has closed.
func signal(model Model, week []*barsv1.Bar) *signalsv1.Signal {
	last := week[len(week)-1]
	return &signalsv1.Signal{
		Security: last.GetSecurity(),
		Type:     commonv1.SignalType_SIGNAL_TYPE_ALPHA,
		ModelId:  model.ID, Horizon: Horizon,
		GeneratedAt: last.GetEventTime(),
		ExpiresAt:   timestamppb.New(last.GetEventTime().AsTime().Add(lifetime)),
		Value: &signalsv1.Signal_Score{Score: &commonv1.Decimal{
			Scaled: model.Score(week), Scale: scoreScale,
		}},
	}
}
