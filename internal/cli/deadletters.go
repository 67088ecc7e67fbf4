package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/redrive"
)

// deadLetterFlags select dead letters.
type deadLetterFlags struct {
	subject      string
	from         start
	max          number
	code, id, pk string
	group, where string
	former       string // --durable of ampy-bus 1.x: reading keeps no position
}

func (f *deadLetterFlags) add(cmd *cobra.Command, most int) {
	f.max = number{value: most, min: 1, max: maxMessages}
	fs := cmd.Flags()
	fs.StringVar(&f.subject, "subject", "", "`PATTERN` of dead-letter topics, such as ampy.prod.dlq.v1.>")
	fs.Var(&f.max, "max", "at most so many")
	fs.Var(&f.from, "from", "those that died since a time, or so long ago (else all)")
	fs.Var(&f.from, "since", "the former name of --from")
	fs.StringVar(&f.code, "code", "", "those with this reason `CODE`, such as decode:proto; here and below * stands for any text")
	fs.StringVar(&f.id, "message-id", "", "the one with this `UUID`")
	fs.StringVar(&f.pk, "pk", "", "those of this partition `KEY`")
	fs.StringVar(&f.group, "group", "", "those that this `GROUP` gave up")
	fs.StringVar(&f.where, "where", "", whereUsage)
	fs.StringVar(&f.former, "durable", "", "ignored: reading keeps no position")
	fs.Lookup("since").Hidden, fs.Lookup("durable").Hidden = true, true
}

const whereUsage = "those for which a `CONDITION` holds, such as 'retry_count < 2 && size > 1000'"

// filter says which dead letters are meant.
func (f *deadLetterFlags) filter() redrive.Filter {
	filter := redrive.Filter{Since: f.from.at, Where: f.where}
	for _, one := range []struct {
		value string
		globs *[]string
	}{{f.code, &filter.Reasons}, {f.pk, &filter.Keys}, {f.group, &filter.Groups}} {
		if one.value != "" {
			*one.globs = []string{one.value}
		}
	}
	if f.id != "" {
		filter.Where = both(f.where, "message_id == "+strconv.Quote(f.id))
	}
	return filter
}

// both joins two conditions. The line break ends a comment in the first.
func both(where, and string) string {
	if where == "" {
		return and
	}
	return "(" + where + "\n) && " + and
}

// check reports what is wrong with the flags before anything is connected to.
func (f *deadLetterFlags) check() error {
	filter := f.filter()
	filter.Where = f.where // a fault is of what was written
	return filter.Validate()
}

// each calls visit with the dead letters that match, oldest first, until it
// returns false. all includes those that are settled.
func (f *deadLetterFlags) each(ctx context.Context, a *app, b *ampybus.Bus, all bool, visit func(*ampybus.DeadLetter) bool) error {
	matches, err := f.filter().Matcher()
	if err != nil {
		return err
	}
	return a.eachDeadLetter(ctx, b, f.subject, all, func(d *ampybus.DeadLetter) (bool, error) {
		if ok, err := matches(d); err != nil || !ok {
			return true, err
		}
		return visit(d), nil
	})
}

// eachDeadLetter reads the dead letters under pattern until visit returns false
// or an error. What has expired is remarked on.
func (a *app) eachDeadLetter(ctx context.Context, b *ampybus.Bus, pattern string, all bool, visit func(*ampybus.DeadLetter) (bool, error)) error {
	read := b.DeadLetters
	if all {
		read = b.AllDeadLetters
	}
	for d, err := range read(ctx, ampybus.Range{Pattern: pattern}) {
		switch {
		case d == nil && isGap(err):
			a.warn("%v", err)
			continue
		case err != nil:
			return err
		}
		if more, err := visit(d); err != nil || !more {
			return err
		}
	}
	return ctx.Err()
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
