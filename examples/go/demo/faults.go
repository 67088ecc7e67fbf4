package main

import (
	"context"
	"fmt"
	"time"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

// A fault goes wrong before the week at its part of the session.
type fault struct {
	at   float64
	make func(ctx context.Context, last, now []ampybus.Envelope) error
}

// faults are called by the feed before each week.
func (s *Session) faults() func(context.Context, int, []ampybus.Envelope) error {
	script := []fault{
		{0.15, s.sendAgain},
		{0.20, s.sendAgainAsNew},
		{0.30, s.poison},
		{0.50, s.kill},
		{0.80, s.storeTwice},
	}
	var last []ampybus.Envelope
	return func(ctx context.Context, week int, now []ampybus.Envelope) error {
		for len(script) > 0 && float64(week) >= script[0].at*float64(len(s.Weeks)) {
			if err := script[0].make(ctx, last, now); err != nil {
				return err
			}
			script = script[1:]
		}
		last = now
		return nil
	}
}

// sendAgain is a producer that did not hear the broker's word: the same message
// once more, which the broker stores once.
func (s *Session) sendAgain(ctx context.Context, last, _ []ampybus.Envelope) error {
	s.say("duplicate: last week's bars are published again under the same message_id")
	return s.bus.PublishBatch(ctx, last...)
}

// sendAgainAsNew is a producer that restarted and does not know what it sent:
// the same bars in a new message. Signals of them have their old identity.
func (s *Session) sendAgainAsNew(ctx context.Context, last, _ []ampybus.Envelope) error {
	s.say("duplicate: a producer sends last week's bars again in new messages")
	for _, e := range last {
		e.Headers.MessageID = ampybus.NewID()
		if err := s.bus.Publish(ctx, e.Topic, e.Headers, e.Payload); err != nil {
			return err
		}
	}
	return nil
}

// storeTwice puts second copies of an order and of a fill into their logs, as a
// bridge or a replay may: under publish ids that the broker has not seen.
func (s *Session) storeTwice(ctx context.Context, _, _ []ampybus.Envelope) error {
	s.say("duplicate: the first order and the first fill are stored a second time")
	for _, pattern := range []string{
		s.Config.Topic(ampybus.DomainOrders, "requests"), s.Config.Topic(ampybus.DomainFills, "events"),
	} {
		m, err := s.first(ctx, pattern)
		if err != nil {
			return err
		}
		if _, err := s.bus.Forward(ctx, ampybus.Forward{
			Topic: m.Topic, Headers: m.Headers, Wire: m.Record.Value,
			ID: m.Headers.MessageID + ".again",
		}); err != nil {
			return err
		}
	}
	return nil
}

// first is the session's first message on a pattern; it waits for it.
func (s *Session) first(ctx context.Context, pattern string) (*ampybus.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, faultTimeout)
	defer cancel()
	for m, err := range s.bus.Read(ctx, ampybus.Range{Pattern: pattern, Start: s.Config.Since, Follow: true}) {
		switch {
		case err != nil:
			return nil, err
		case m.Headers.RunID == s.Config.RunID:
			return m, nil
		}
	}
	return nil, fmt.Errorf("wait for %s: %w", pattern, context.Cause(ctx))
}

// kill ends the positions service in the middle of its work, and starts it again.
func (s *Session) kill(ctx context.Context, _, _ []ampybus.Envelope) (err error) {
	if _, err := s.first(ctx, s.Config.Topic(ampybus.DomainPositions, "snapshots")); err != nil {
		return err
	}
	if err := s.positions.Kill(); err != nil {
		return err
	}
	s.say("kill -9: the positions service is gone, and is started again (its lease runs %v more at most)", s.Config.Lease)
	s.positions, err = s.StartPositions(ctx, "positions-2")
	return err
}

const (
	goodScale = 6
	badScale  = 60
)

// poison damages a batch on its way: a decimal with an impossible scale. An
// operator waits for the dead letter, and repairs it.
func (s *Session) poison(ctx context.Context, _, now []ampybus.Envelope) error {
	damaged, err := rescale(now[0].Payload, badScale)
	if err != nil {
		return err
	}
	now[0].Payload = damaged
	s.say("poison: this week's %s has a decimal of scale %d", now[0].Headers.PartitionKey, badScale)
	s.operator = make(chan error, 1)
	go func() { s.operator <- s.repair(ctx) }()
	return nil
}

// repair is the operator: it looks at the dead letter, mends the payload, and
// sends it back to where it came from.
func (s *Session) repair(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, faultTimeout)
	defer cancel()
	letters := ampybus.Range{Pattern: s.Config.Topic(ampybus.DomainDLQ, "bars"), Start: s.Config.Since, Follow: true}
	for d, err := range s.bus.DeadLetters(ctx, letters) {
		switch {
		case err != nil:
			return fmt.Errorf("wait for the dead letter: %w", err)
		case d.Headers.RunID != s.Config.RunID:
			continue
		}
		s.say("dead letter: %s from %s, group %s: %s", d.Headers.DLQ.Origin, d.Target, d.Headers.DLQ.Group, d.Headers.DLQ.Reason)
		mended, err := rescale(d.Payload, goodScale)
		if err != nil {
			return err
		}
		origin, err := s.bus.Redrive(ctx, d, ampybus.RedriveOptions{
			Reason: "the feed wrote a wrong scale", Requester: "ops-tooling@demo", Payload: mended,
		})
		if err != nil {
			return err
		}
		s.say("redriven: the payload is mended and stored again at %s", origin)
		return nil
	}
	return fmt.Errorf("wait for the dead letter: %w", context.Cause(ctx))
}

// faultTimeout bounds the wait for what a fault needs, or leads to.
const faultTimeout = 30 * time.Second

// rescale writes another scale into the first decimal of a batch.
func rescale(payload []byte, scale int32) ([]byte, error) {
	batch := new(barsv1.BarBatch)
	if err := proto.Unmarshal(payload, batch); err != nil {
		return nil, err
	}
	batch.Bars[0].Open.Scale = scale
	return protopayload.Canonical(batch)
}
