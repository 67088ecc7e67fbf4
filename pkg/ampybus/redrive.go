package ampybus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
)

// ErrRedriveRefused: the dead letter was not sent back, and stays open. The
// error says why and what to do.
var ErrRedriveRefused = errors.New("redrive refused")

// SettleOptions say who settles a dead letter, and why. Both are recorded.
type SettleOptions struct {
	Reason string
	// Requester is a service or role ("ops-tooling@cli-1"), not a person.
	Requester string
}

// RedriveOptions configure Redrive.
type RedriveOptions struct {
	Reason    string
	Requester string
	// Force sends back even what was redriven as often as the policy's retry
	// budget allows, and what a settlement records as settled.
	Force bool
	// Payload replaces the payload's bytes, for a message that had to be fixed.
	// Nil: the stored bytes, unchanged.
	Payload []byte
}

// Redrive publishes a dead letter again on the topic that it came from: the
// same message_id, retry_count + 1, the dlq_* headers gone. When the broker has
// stored it, the settlement is recorded. It returns where the new copy is
// stored. A crash in between leaves the dead letter open; redriving it again
// finds the copy within the broker's dedupe window, and makes a duplicate that
// consumers drop by its message_id later than that.
//
// A target in another env or domain than the dead-letter topic's own is
// refused: the header may be forged.
func (b *Bus) Redrive(ctx context.Context, d *DeadLetter, o RedriveOptions) (origin string, err error) {
	if err := d.Redrivable(o.Force); err != nil {
		return "", fmt.Errorf("redrive %s: %w: %w", d.Origin(), ErrRedriveRefused, err)
	}
	h := redriveHeaders(d)
	wire := d.Record.Value
	if o.Payload != nil {
		if wire, err = b.replace(ctx, &h, d.Target, o.Payload); err != nil {
			return "", fmt.Errorf("redrive %s: %w", d.Origin(), err)
		}
	}
	origin, err = b.Forward(ctx, Forward{
		Topic: d.Target, Headers: h, Wire: wire, ID: redriveID(d, h, o),
	})
	if err != nil {
		return "", fmt.Errorf("redrive %s: %w", d.Origin(), err)
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return origin, b.settle(end, d, &controlv1.DeadLetterSettlement{
		Outcome: controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_REDRIVEN,
		Reason:  o.Reason, Requester: o.Requester,
		Target: d.Target, TargetOrigin: origin, Attempt: int32(h.RetryCount),
	})
}

// redriveID is the publish id of a redriven copy. It names the dead letter, so
// that two of one message are two copies, and a redrive that crashed before
// its settlement finds its own copy again instead of making a second.
func redriveID(d *DeadLetter, h Headers, o RedriveOptions) string {
	id := fmt.Sprintf("%s.redrive.%d.%s", h.MessageID, h.RetryCount, d.Origin())
	if o.Payload != nil {
		id += "." + h.PayloadHash
	}
	if d.Settled != "" { // forced once more: not the copy that was sent before
		id += "." + NewID()
	}
	return id
}

// Discard settles a dead letter without sending it back. One that is settled
// already is refused.
func (b *Bus) Discard(ctx context.Context, d *DeadLetter, o SettleOptions) error {
	if d.Settled != "" {
		return fmt.Errorf("discard %s: %w: it is settled already (%s)", d.Origin(), ErrRedriveRefused, d.Settled)
	}
	return b.settle(ctx, d, &controlv1.DeadLetterSettlement{
		Outcome: controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_DISCARDED,
		Reason:  o.Reason, Requester: o.Requester,
	})
}

// Redrivable reports why Redrive would refuse d, or nil.
func (d *DeadLetter) Redrivable(force bool) error {
	from, err := ParseTopic(d.Topic)
	if err != nil || from.Domain != DomainDLQ {
		return fmt.Errorf("%q is no dead-letter topic", d.Topic)
	}
	if d.Target == "" {
		return errors.New("the dead letter does not say which topic it came from")
	}
	to, err := ParseTopic(d.Target)
	if err != nil {
		return fmt.Errorf("its target is no legal topic: %w", err)
	}
	domain, _, _ := strings.Cut(from.Subtopic, ".")
	foreign := domain != to.Domain && from.Subtopic != d.Target
	forged := to.Env != from.Env || to.Domain == DomainDLQ || foreign
	if forged && !mutant.On("no-prefix-check-on-redrive") {
		return fmt.Errorf("its target %s does not belong to %s: the dlq_topic header may be forged", d.Target, d.Topic)
	}
	if d.Settled != "" && !force {
		return fmt.Errorf("it is settled already (%s)", d.Settled)
	}
	policy, _ := PolicyFor(to.Domain)
	if d.Headers.RetryCount >= policy.Retry.Attempts && !force {
		return fmt.Errorf("it was sent back %s times, as often as the %s policy allows; fix the cause, then use force",
			strconv.Itoa(d.Headers.RetryCount), to.Domain)
	}
	return nil
}

// redriveHeaders are the headers of the redriven copy.
func redriveHeaders(d *DeadLetter) Headers {
	h := d.Headers
	h.DLQ = DLQInfo{}
	h.RetryCount++
	h.Topic = d.Target
	h.Extra = nil
	for _, x := range d.Headers.Extra {
		if x.Name != HeaderRawHeaders {
			h.Extra = append(h.Extra, x)
		}
	}
	return h
}

// replace encodes a fixed payload as a publish would.
func (b *Bus) replace(ctx context.Context, h *Headers, topic string, payload []byte) ([]byte, error) {
	h.ContentEncoding, h.BlobRef, h.BlobHash, h.BlobSize = "", "", "", 0
	h.PayloadHash = PayloadHash(payload)
	e := Envelope{Topic: topic, Headers: *h, Payload: payload}
	wire, err := b.pack(ctx, &e, policyRow(domainOf(topic)))
	*h = e.Headers
	return wire, err
}
