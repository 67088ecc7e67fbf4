package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
)

func (a *app) dlqShow() *cobra.Command {
	var f oneLetterFlags
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show one dead letter in full: headers, payload, and how it was settled",
		Example: `  ampybusctl dlq show --subject "ampy.prod.dlq.v1.>" --origin AMPY_PROD_DLQ:17
  ampybusctl dlq show --subject "ampy.prod.dlq.v1.>" --message-id 018f5e35-0f42-7a31-9e77-1c2a9b11d0ef -o json`,
	}
	f.add(cmd)
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		if err := f.check(); err != nil {
			return err
		}
		return a.showLetters(cmd, &f)
	}, "subject")
}

func (a *app) showLetters(cmd *cobra.Command, f *oneLetterFlags) error {
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	found, err := f.find(cmd, a, b)
	if err != nil {
		return err
	}
	for i, d := range found {
		history, err := settlementsOf(cmd.Context(), b, d)
		if err != nil {
			return err
		}
		doc := letterDoc{deadLetterDoc: newDeadLetterDoc(d, true), History: history}
		if err := d.Redrivable(false); err != nil {
			doc.Refused = err.Error()
		}
		if a.output == formatJSON {
			err = a.printJSON(doc)
		} else {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			a.showLetter(d, doc)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// letterDoc is a dead letter with its history, as JSON.
type letterDoc struct {
	deadLetterDoc
	// Refused says why a redrive would refuse it now; empty: it would be sent.
	Refused string          `json:"redrive_refused,omitempty"`
	History []settlementDoc `json:"history,omitempty"`
}

// settlementDoc is how this dead letter, or another one of its message, was
// settled.
type settlementDoc struct {
	Origin    string    `json:"origin"`
	Outcome   string    `json:"outcome"`
	At        time.Time `json:"at"`
	Requester string    `json:"requester"`
	Reason    string    `json:"reason"`
	Attempt   int32     `json:"attempt,omitempty"`
	NewOrigin string    `json:"new_origin,omitempty"`
}

// settlementSubtopic is where the bus keeps the settlements of dead letters.
const settlementSubtopic = "dlq_settlements"

// settlementsOf reads what is recorded of d's message, oldest first.
func settlementsOf(ctx context.Context, b *ampybus.Bus, d *ampybus.DeadLetter) ([]settlementDoc, error) {
	topic, err := ampybus.ParseTopic(d.Topic)
	if err != nil {
		return nil, err
	}
	at := ampybus.Topic{Env: topic.Env, Domain: ampybus.DomainControl, Version: "v1", Subtopic: settlementSubtopic}
	var history []settlementDoc
	for m, err := range b.Read(ctx, ampybus.Range{Pattern: at.String()}) {
		switch {
		case m == nil && isGap(err):
		case m == nil:
			return nil, fmt.Errorf("read settlements: %w", err)
		case err == nil:
			s := new(controlv1.DeadLetterSettlement)
			if proto.Unmarshal(m.Payload, s) == nil && concerns(s, d) {
				history = append(history, newSettlementDoc(s))
			}
		}
	}
	return history, ctx.Err()
}

func concerns(s *controlv1.DeadLetterSettlement, d *ampybus.DeadLetter) bool {
	return s.GetOrigin() == d.Origin() || s.GetMessageId() != "" && s.GetMessageId() == d.Headers.MessageID
}

func newSettlementDoc(s *controlv1.DeadLetterSettlement) settlementDoc {
	outcome := map[controlv1.SettlementOutcome]string{
		controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_REDRIVEN:  "redriven",
		controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_DISCARDED: "discarded",
		controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_RELEASED:  "released",
	}[s.GetOutcome()]
	return settlementDoc{
		Origin: s.GetOrigin(), Outcome: or(outcome, "settled"), At: s.GetSettledAt().AsTime(),
		Requester: s.GetRequester(), Reason: s.GetReason(), Attempt: s.GetAttempt(), NewOrigin: s.GetTargetOrigin(),
	}
}

// maxHexDump is how much of a payload that does not decode is shown.
const maxHexDump = 512

func (a *app) showLetter(d *ampybus.DeadLetter, doc letterDoc) {
	fmt.Fprintln(a.out, doc.line(&d.Headers))
	fmt.Fprintf(a.out, "stored: %s\n", d.StoredAt.UTC().Format(time.RFC3339Nano))
	a.showText("error", doc.Error)
	for _, lint := range doc.Lints {
		a.showText("remark", lint)
	}
	a.showText("redrive would refuse it", doc.Refused)
	fmt.Fprintln(a.out, "headers:")
	a.printHeaders("  ", d.Record.Headers)
	payload := payloadOf(d.Message)
	fmt.Fprintf(a.out, "payload: %d bytes, %s\n", len(payload), doc.Hash)
	a.printPayload("  ", doc.messageDoc)
	if doc.PayloadJSON == nil && len(payload) > 0 {
		fmt.Fprintf(a.out, "  %s\n", indentLines(hexDump(payload), "  "))
	}
	for _, s := range doc.History {
		a.showSettlement(s)
	}
}

func (a *app) showText(name, text string) {
	if text != "" {
		fmt.Fprintf(a.out, "%s: %s\n", name, terminal.Escape(text))
	}
}

func hexDump(b []byte) string {
	text := hex.Dump(b[:min(len(b), maxHexDump)])
	if len(b) > maxHexDump {
		return fmt.Sprintf("%s… %d more bytes", text, len(b)-maxHexDump)
	}
	return text[:len(text)-1]
}

func (a *app) showSettlement(s settlementDoc) {
	line := fmt.Sprintf("[settlement] %s origin=%s at=%s requester=%s reason=%s",
		s.Outcome, terminal.Field(s.Origin), s.At.Format(time.RFC3339Nano), terminal.Field(s.Requester), terminal.Field(s.Reason))
	if s.NewOrigin != "" {
		line += fmt.Sprintf(" attempt=%d stored_as=%s", s.Attempt, terminal.Field(s.NewOrigin))
	}
	fmt.Fprintln(a.out, line)
}
