package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// deadLetterFlags select dead letters.
type deadLetterFlags struct {
	subject      string
	from         start
	max          number
	code, id, pk string
	group        string
	former       string // --durable of ampy-bus 1.x: reading keeps no position
}

func (f *deadLetterFlags) add(cmd *cobra.Command, most int) {
	f.max = number{value: most, min: 1, max: maxMessages}
	fs := cmd.Flags()
	fs.StringVar(&f.subject, "subject", "", "`PATTERN` of dead-letter topics, such as ampy.prod.dlq.v1.>")
	fs.Var(&f.max, "max", "at most so many")
	fs.Var(&f.from, "from", "those stored since a time, or so long ago (else all)")
	fs.Var(&f.from, "since", "the former name of --from")
	fs.StringVar(&f.code, "code", "", "those with this reason `CODE`, such as decode:proto; here and below * stands for any text")
	fs.StringVar(&f.id, "message-id", "", "the one with this `UUID`")
	fs.StringVar(&f.pk, "pk", "", "those of this partition `KEY`")
	fs.StringVar(&f.group, "group", "", "those that this `GROUP` gave up")
	fs.StringVar(&f.former, "durable", "", "ignored: reading keeps no position")
	fs.Lookup("since").Hidden, fs.Lookup("durable").Hidden = true, true
}

// each calls visit with the dead letters that match, oldest first, until it
// returns false. all includes those that are settled.
func (f *deadLetterFlags) each(ctx context.Context, a *app, b *ampybus.Bus, all bool, visit func(*ampybus.DeadLetter) bool) error {
	read := b.DeadLetters
	if all {
		read = b.AllDeadLetters
	}
	for d, err := range read(ctx, ampybus.Range{Pattern: f.subject, Start: f.from.at}) {
		switch {
		case d == nil && isGap(err):
			a.warn("%v", err)
		case err != nil:
			return err
		case f.matches(d) && !visit(d):
			return nil
		}
	}
	return ctx.Err()
}

func (f *deadLetterFlags) matches(d *ampybus.DeadLetter) bool {
	return glob(f.code, d.Code) && glob(f.pk, d.Headers.PartitionKey) && glob(f.group, d.Headers.DLQ.Group) &&
		(f.id == "" || d.Headers.MessageID == f.id)
}

// glob matches as redrive.Filter does; an empty pattern matches all.
func glob(pattern, s string) bool {
	ok, _ := path.Match(pattern, s)
	return ok || pattern == ""
}

func (f *deadLetterFlags) nothing() error {
	return exitf(ExitNothing, "no open dead letter on %s matches", f.subject)
}

func isGap(err error) bool {
	var gap *driver.GapError
	return errors.As(err, &gap)
}

// deadLetterDoc is a dead letter as JSON.
type deadLetterDoc struct {
	messageDoc
	Origin  string `json:"origin"`
	Target  string `json:"target"`
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Settled string `json:"settled,omitempty"`
	Hash    string `json:"payload_sha256"`
	File    string `json:"file,omitempty"`
}

func newDeadLetterDoc(d *ampybus.DeadLetter, decode bool) deadLetterDoc {
	return deadLetterDoc{
		messageDoc: newMessageDoc(d.Message, d.Fault, decode),
		Origin:     d.Origin(), Target: d.Target, Code: d.Code, Reason: d.Headers.DLQ.Reason,
		Settled: d.Settled, Hash: ampybus.PayloadHash(payloadOf(d.Message)),
	}
}

// line is a dead letter as text.
func (d *deadLetterDoc) line(h *ampybus.Headers) string {
	line := fmt.Sprintf("[dlq] origin=%s subject=%s target=%s reason=%s msg_id=%s schema=%s pk=%s size=%d retry_count=%d",
		terminal.Field(d.Origin), terminal.Field(d.Topic), terminal.Field(d.Target), terminal.Field(d.Reason),
		terminal.Field(h.MessageID), terminal.Field(h.SchemaFQDN), terminal.Field(h.PartitionKey), d.PayloadBytes, h.RetryCount)
	if h.DLQ.Group != "" {
		line += fmt.Sprintf(" group=%s attempts=%d", terminal.Field(h.DLQ.Group), h.DLQ.Attempts)
	}
	if !h.DLQ.At.IsZero() {
		line += " at=" + h.DLQ.At.UTC().Format(time.RFC3339Nano)
	}
	if d.Settled != "" {
		line += " settled=" + terminal.Field(d.Settled)
	}
	return line
}
