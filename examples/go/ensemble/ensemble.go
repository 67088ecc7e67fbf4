// Package ensemble makes one decision of many opinions: it consumes the ALPHA
// signals of all models and publishes an ACTION signal for each security and
// week that every model has scored.
package ensemble

import (
	"context"
	"strings"
	"sync"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"

	"github.com/AmpyFin/ampy-bus/examples/go/features"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

const (
	// Name is the service's name, and its group's.
	Name = "ensemble"
	// ModelID names the decisions, and their topic.
	ModelID = "ensemble@1"

	// Scores beyond act are traded, those below calm close the position; in
	// between it is held. In ten-thousandths.
	act  = 50
	calm = 10
)

// ensemble knows the opinions on each question.
type ensemble struct {
	mu     sync.Mutex
	scores map[question]map[string]int64 // by model
}

// question is what all models must have answered: a security on a day.
type question struct{ run, security, day string }

// Run consumes until ctx ends. The opinions that arrived before it started are
// read again from the log: a message that is finished does not come back.
func Run(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	e := &ensemble{scores: make(map[question]map[string]int64)}
	everyModel := c.Topic(ampybus.DomainSignals, ">")
	past := service.NewLog[*signalsv1.Signal](bus, c, everyModel)
	if err := past.CatchUp(ctx, func(m *ampybus.Message, s *signalsv1.Signal) error {
		e.hear(m, s)
		return nil
	}); err != nil {
		return err
	}
	return bus.Consume(ctx, c.Consumer(Name, everyModel), service.Decoded(
		func(ctx context.Context, m *ampybus.Message, s *signalsv1.Signal) error {
			action, ok := e.hear(m, s)
			if !ok {
				return nil
			}
			return publish(ctx, bus, c, m, s, action)
		}))
}

// hear notes an opinion, and decides when it has all. Hearing one again changes
// nothing and gives the same decision, which is then published under the same
// id: the crash between deciding and publishing is covered.
func (e *ensemble) hear(m *ampybus.Message, s *signalsv1.Signal) (commonv1.ActionType, bool) {
	if s.GetType() != commonv1.SignalType_SIGNAL_TYPE_ALPHA {
		return 0, false // a decision: our own
	}
	q := question{m.Headers.RunID, security(s), day(s)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.scores[q] == nil {
		e.scores[q] = make(map[string]int64)
	}
	e.scores[q][s.GetModelId()] = s.GetScore().GetScaled()
	var sum int64
	for _, model := range features.Models() {
		score, known := e.scores[q][model.ID]
		if !known {
			return 0, false
		}
		sum += score
	}
	return decide(sum), true
}

func decide(score int64) commonv1.ActionType {
	switch {
	case score > act:
		return commonv1.ActionType_ACTION_TYPE_BUY
	case score < -act:
		return commonv1.ActionType_ACTION_TYPE_SELL
	case -calm < score && score < calm:
		return commonv1.ActionType_ACTION_TYPE_CLOSE
	}
	return commonv1.ActionType_ACTION_TYPE_HOLD
}

func publish(ctx context.Context, bus *ampybus.Bus, c service.Config, m *ampybus.Message, s *signalsv1.Signal, action commonv1.ActionType) error {
	return service.Publish(ctx, bus, protopayload.Draft{
		Topic: c.Topic(ampybus.DomainSignals, ModelID),
		Message: &signalsv1.Signal{
			Security: s.GetSecurity(),
			Type:     commonv1.SignalType_SIGNAL_TYPE_ACTION,
			ModelId:  ModelID, Horizon: s.GetHorizon(),
			GeneratedAt: s.GetGeneratedAt(), ExpiresAt: s.GetExpiresAt(),
			Value: &signalsv1.Signal_Action{Action: action},
		},
		Producer: c.Producer(Name), Source: Name,
		DedupeKey: strings.Join([]string{m.Headers.RunID, ModelID, security(s), day(s)}, "|"),
	}, m)
}

func security(s *signalsv1.Signal) string {
	return ampybus.SecurityKey(s.GetSecurity().GetSymbol(), s.GetSecurity().GetMic())
}

func day(s *signalsv1.Signal) string { return s.GetGeneratedAt().AsTime().Format(time.DateOnly) }
