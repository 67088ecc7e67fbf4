package main

import (
	"fmt"
	"time"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/examples/go/ensemble"
	"github.com/AmpyFin/ampy-bus/examples/go/features"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// onDay names a security on a day.
type onDay struct{ security, day string }

func dayOf(s *commonv1.SecurityId, at *timestamppb.Timestamp) onDay {
	return onDay{ampybus.SecurityKey(s.GetSymbol(), s.GetMic()), at.AsTime().Format(time.DateOnly)}
}

func lastDay(b *barsv1.BarBatch) onDay {
	last := b.GetBars()[len(b.GetBars())-1]
	return dayOf(last.GetSecurity(), last.GetEventTime())
}

func everyDayIsStored(e *Evidence) (string, error) {
	stored := make(map[onDay]*barsv1.Bar)
	for _, b := range e.Bars {
		for _, day := range b.Payload.GetBars() {
			key := dayOf(day.GetSecurity(), day.GetEventTime())
			if old := stored[key]; old != nil && !proto.Equal(old, day) {
				return "", fmt.Errorf("%s of %s is stored twice and differs", key.day, key.security)
			}
			stored[key] = day
		}
	}
	days := 0
	for _, week := range e.Weeks {
		for _, batch := range week {
			for _, day := range batch.GetBars() {
				days++
				key := dayOf(day.GetSecurity(), day.GetEventTime())
				if !proto.Equal(stored[key], day) {
					return "", fmt.Errorf("%s of %s is not on the bus as it is in the file", key.day, key.security)
				}
			}
		}
	}
	if len(stored) != days {
		return "", fmt.Errorf("%d days are on the bus, %d in the files", len(stored), days)
	}
	return fmt.Sprintf("bars       all %d days of the files are on the bus, as they are in the files", days), nil
}

func barsAreInOrder(e *Evidence) (string, error) {
	last := make(map[string]time.Time)
	seen := make(map[onDay]bool)
	for _, b := range e.Bars {
		if seen[lastDay(b.Payload)] || b.Headers.RetryCount > 0 {
			continue // sent again, or redriven
		}
		seen[lastDay(b.Payload)] = true
		for _, day := range b.Payload.GetBars() {
			at := day.GetEventTime().AsTime()
			if !at.After(last[b.Headers.PartitionKey]) {
				return "", fmt.Errorf("%s: %s is stored behind %s", b.Headers.PartitionKey, at, last[b.Headers.PartitionKey])
			}
			last[b.Headers.PartitionKey] = at
		}
	}
	return fmt.Sprintf("bars       event_time grows within each of %d keys", len(last)), nil
}

// scores are the signals of one type, each counted once.
func (e *Evidence) signals(t commonv1.SignalType) map[onDay]map[string]*signalsv1.Signal {
	all := make(map[onDay]map[string]*signalsv1.Signal)
	for _, s := range unique(e.Signals) {
		if s.Payload.GetType() != t {
			continue
		}
		key := dayOf(s.Payload.GetSecurity(), s.Payload.GetGeneratedAt())
		if all[key] == nil {
			all[key] = make(map[string]*signalsv1.Signal)
		}
		all[key][s.Payload.GetModelId()] = s.Payload
	}
	return all
}

func everyBatchWasScored(e *Evidence) (string, error) {
	alphas := e.signals(commonv1.SignalType_SIGNAL_TYPE_ALPHA)
	n := 0
	for _, week := range e.Weeks {
		for _, batch := range week {
			key := lastDay(batch)
			for _, model := range features.Models() {
				s := alphas[key][model.ID]
				if s == nil || s.GetScore().GetScaled() != model.Score(batch.GetBars()) {
					return "", fmt.Errorf("%s of %s has no signal, or a wrong one, of %s", key.day, key.security, model.ID)
				}
				n++
			}
		}
	}
	return fmt.Sprintf("signals    each week's bars led to one ALPHA of each model: %d", n), nil
}

func everyScoreWasDecided(e *Evidence) (string, error) {
	alphas := e.signals(commonv1.SignalType_SIGNAL_TYPE_ALPHA)
	actions := e.signals(commonv1.SignalType_SIGNAL_TYPE_ACTION)
	for key := range alphas {
		if actions[key][ensemble.ModelID] == nil {
			return "", fmt.Errorf("%s of %s was scored and not decided", key.day, key.security)
		}
	}
	for key := range actions {
		if alphas[key] == nil {
			return "", fmt.Errorf("%s of %s was decided and not scored", key.day, key.security)
		}
	}
	ids := 0
	for _, s := range unique(e.Signals) {
		if s.Payload.GetType() == commonv1.SignalType_SIGNAL_TYPE_ACTION {
			ids++
		}
	}
	if ids != len(actions) {
		return "", fmt.Errorf("%d decisions on %d questions", ids, len(actions))
	}
	return fmt.Sprintf("signals    each pair of ALPHAs led to one ACTION: %d", len(actions)), nil
}
