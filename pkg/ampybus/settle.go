package ampybus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// settlementSubtopic is where settlements of dead letters are kept: a dead
// letter is evidence and is never deleted, so "open" means: not settled here.
const settlementSubtopic = "dlq_settlements"

const settlementSchema = "ampy.control.v1.DeadLetterSettlement"

// settlementTopic is the topic of an env's settlements.
func settlementTopic(env string) string {
	return Topic{Env: env, Domain: DomainControl, Version: "v1", Subtopic: settlementSubtopic}.String()
}

// settle records what became of a dead letter.
func (b *Bus) settle(ctx context.Context, d *DeadLetter, s *controlv1.DeadLetterSettlement) error {
	s.Origin, s.MessageId = d.Origin(), letterID(d.Headers, d.Headers.DLQ.Origin)
	s.ConsumerGroup, s.PartitionKey = d.Headers.DLQ.Group, d.Headers.PartitionKey
	s.SettledAt = timestamppb.Now()
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode settlement of %s: %w", d.Origin(), err)
	}
	env, _ := cutPlace(d.Topic)
	h := NewHeaders(settlementSchema, firstText(s.GetRequester(), "ampy-bus"), "ampy-bus", d.Origin())
	h.RunID = firstText(d.Headers.RunID, "dlq")
	h.Trace = d.Headers.Trace
	if err := b.Publish(ctx, settlementTopic(env), h, payload); err != nil {
		return fmt.Errorf("record settlement of %s: %w", d.Origin(), err)
	}
	return nil
}

func firstText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// settlements reads what became of the dead letters of envs, by their origin.
func (b *Bus) settlements(ctx context.Context, envs []string) (map[string]*controlv1.DeadLetterSettlement, error) {
	settled := make(map[string]*controlv1.DeadLetterSettlement)
	for _, env := range envs {
		for m, err := range b.Read(ctx, Range{Pattern: settlementTopic(env)}) {
			if m == nil && err != nil && !isGap(err) {
				return nil, fmt.Errorf("read settlements: %w", err)
			}
			if err != nil {
				continue // a gap is retention's; a broken settlement settles nothing
			}
			s := new(controlv1.DeadLetterSettlement)
			if proto.Unmarshal(m.Payload, s) == nil && s.GetOrigin() != "" {
				settled[settledPlace(m, s.GetOrigin())] = s
			}
		}
	}
	return settled, nil
}

// DeadLetter is a message as a dead-letter topic holds it.
type DeadLetter struct {
	*Message
	// Target is the topic that it came from, and a redrive sends it to. Empty
	// when that cannot be known.
	Target string
	// Code is the reason's code, for filters and metrics.
	Code string
	// Fault is what is wrong with the message itself, as far as reading it
	// showed; nil when it reads well.
	Fault error
	// Settled says how it was settled: "", "redriven", "discarded", "released".
	Settled string
}

// DeadLetters yields the dead letters in r that are not settled, oldest first
// within a topic. It leaves no trace. r.Pattern must lie in the dlq domain;
// r.Limit counts what is yielded.
func (b *Bus) DeadLetters(ctx context.Context, r Range) iter.Seq2[*DeadLetter, error] {
	return b.deadLetters(ctx, r, false)
}

// AllDeadLetters is DeadLetters with those that are settled too.
func (b *Bus) AllDeadLetters(ctx context.Context, r Range) iter.Seq2[*DeadLetter, error] {
	return b.deadLetters(ctx, r, true)
}

func (b *Bus) deadLetters(ctx context.Context, r Range, all bool) iter.Seq2[*DeadLetter, error] {
	return func(yield func(*DeadLetter, error) bool) {
		envs, err := deadLetterEnvs(r.Pattern)
		if err != nil {
			yield(nil, err)
			return
		}
		settled, err := b.settlements(ctx, envs)
		if err != nil {
			yield(nil, err)
			return
		}
		n, limit := 0, r.Limit
		r.Limit = 0
		for m, err := range b.Read(ctx, r) {
			if m == nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			d := newDeadLetter(m, err)
			for _, place := range m.places() {
				if s := settled[place]; s != nil {
					d.Settled = outcomeText(s.GetOutcome())
				}
			}
			if d.Settled != "" && !all {
				continue
			}
			if !yield(d, nil) {
				return
			}
			if n++; n == limit {
				return
			}
		}
	}
}

func deadLetterEnvs(pattern string) ([]string, error) {
	p, err := ParsePattern(pattern)
	if err != nil {
		return nil, err
	}
	var envs []string
	for _, s := range p.Scopes() {
		if s.Domain != DomainDLQ {
			return nil, &FieldError{Field: "pattern", Value: pattern, Problem: "reaches beyond the dlq domain", Fix: "use ampy.{env}.dlq.v1.{domain} or ampy.{env}.dlq.v1.>"}
		}
		if !slices.Contains(envs, s.Env) {
			envs = append(envs, s.Env)
		}
	}
	return envs, nil
}

func newDeadLetter(m *Message, fault error) *DeadLetter {
	return &DeadLetter{
		Message: m, Fault: fault,
		Target: deadLetterTarget(m), Code: ReasonCode(m.Headers.DLQ.Reason),
	}
}

// deadLetterTarget is the way back: the dlq_topic header, or for peers of
// ampy-bus 1.x the original topic in the subtopic.
func deadLetterTarget(m *Message) string {
	if m.Headers.DLQ.Topic != "" {
		return m.Headers.DLQ.Topic
	}
	if t, err := ParseTopic(m.Topic); err == nil {
		if _, err := ParseTopic(t.Subtopic); err == nil {
			return t.Subtopic
		}
	}
	return ""
}

func outcomeText(o controlv1.SettlementOutcome) string {
	switch o {
	case controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_REDRIVEN:
		return "redriven"
	case controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_DISCARDED:
		return "discarded"
	case controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_RELEASED:
		return "released"
	}
	return "settled"
}

func isGap(err error) bool {
	var g *driver.GapError
	return errors.As(err, &g)
}

// settleTimeout bounds recording a settlement after the redriven copy is
// stored: it must not be given up because the caller's ctx ends just then.
const settleTimeout = 10 * time.Second
