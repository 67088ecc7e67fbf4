package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Outcomes of one dead letter.
const (
	redriveSent    = "sent"
	redriveWould   = "would-send"
	redriveRefused = "refused"
	redriveFailed  = "failed"
	redriveHeld    = "held" // an earlier dead letter of its key was not sent
)

// maxFailuresInRow ends a redrive that gets nowhere: each failure has waited for
// the publish ceiling of its class already.
const maxFailuresInRow = 3

// redriveDoc is the report.
type redriveDoc struct {
	DryRun   bool         `json:"dry_run"`
	Sent     int          `json:"sent"`
	Refused  int          `json:"refused"`
	Failed   int          `json:"failed"`
	Held     int          `json:"held"`
	Aborted  string       `json:"aborted,omitempty"`
	Messages []redriveRow `json:"messages"`
}

type redriveRow struct {
	Outcome    string `json:"outcome"`
	Origin     string `json:"origin"`
	Target     string `json:"target"`
	MessageID  string `json:"message_id"`
	Key        string `json:"partition_key"`
	RetryCount int    `json:"retry_count"`
	StoredAs   string `json:"stored_as,omitempty"`
	Problem    string `json:"problem,omitempty"`
}

// redrive is one run of dlq-redrive.
type redrive struct {
	*app
	bus   *ampybus.Bus
	flags *redriveFlags

	doc     redriveDoc
	held    map[string]bool // keys of which an earlier dead letter was not sent
	failing int             // failures in a row
}

// one sends d back, or says why not. It reports whether to go on.
func (r *redrive) one(ctx context.Context, d *ampybus.DeadLetter) bool {
	row := redriveRow{
		Origin: d.Origin(), Target: d.Target, MessageID: d.Headers.MessageID,
		Key: d.Headers.PartitionKey, RetryCount: d.Headers.RetryCount + 1,
	}
	key := d.Target + "\n" + d.Headers.PartitionKey
	if r.held[key] {
		row.Outcome, row.Problem = redriveHeld, "an earlier dead letter of its key was not sent"
	} else {
		r.send(ctx, d, &row)
	}
	r.count(row)
	if row.Outcome == redriveFailed || row.Outcome == redriveRefused && parks(d.Target) {
		r.held[key] = true
	}
	r.show(row)
	return r.goOn(ctx)
}

func (r *redrive) send(ctx context.Context, d *ampybus.DeadLetter, row *redriveRow) {
	payload, err := r.flags.repaired(r.app, d)
	if err == nil {
		row.StoredAs, err = r.bus.Redrive(ctx, d, ampybus.RedriveOptions{
			Reason: r.flags.reason, Requester: r.flags.requester, Force: r.flags.force, Payload: payload,
		})
	}
	switch {
	case err == nil:
		row.Outcome = redriveSent
	case row.StoredAs != "": // sent, but not recorded as settled
		row.Outcome, row.Problem = redriveSent, err.Error()
	case errors.Is(err, errDry):
		row.Outcome = redriveWould
	case errors.Is(err, ampybus.ErrRedriveRefused), ampybus.FieldErrors(err) != nil:
		row.Outcome, row.Problem = redriveRefused, err.Error()
	default:
		row.Outcome, row.Problem = redriveFailed, err.Error()
	}
}

// parks reports whether a topic's keys must keep their order over dead letters.
func parks(topic string) bool {
	t, err := ampybus.ParseTopic(topic)
	if err != nil {
		return false
	}
	policy, _ := ampybus.PolicyFor(t.Domain)
	return policy.OnDead == ampybus.Park
}

func (r *redrive) count(row redriveRow) {
	r.doc.Messages = append(r.doc.Messages, row)
	switch row.Outcome {
	case redriveSent, redriveWould:
		r.doc.Sent++
		r.failing = 0
	case redriveRefused:
		r.doc.Refused++
	case redriveHeld:
		r.doc.Held++
	case redriveFailed:
		r.doc.Failed++
		r.failing++
	}
}

// goOn: what is refused or held does not count against --max, or a few dead
// letters that can never be sent would hide all others.
func (r *redrive) goOn(ctx context.Context) bool {
	switch {
	case ctx.Err() != nil:
		r.doc.Aborted = ctx.Err().Error()
	case r.failing >= maxFailuresInRow:
		r.doc.Aborted = fmt.Sprintf("%d failures in a row", r.failing)
	}
	return r.doc.Aborted == "" && r.doc.Sent+r.doc.Failed < r.flags.max.value
}

// show prints one outcome, and progress where somebody looks.
func (r *redrive) show(row redriveRow) {
	if r.screen != nil {
		fmt.Fprintf(r.screen, "\r%d of at most %d\r", r.doc.Sent+r.doc.Failed, r.flags.max.value)
	}
	if r.output == formatJSON {
		return
	}
	line := fmt.Sprintf("[redrive] %s origin=%s target=%s msg_id=%s pk=%s retry_count=%d",
		row.Outcome, terminal.Field(row.Origin), terminal.Field(row.Target),
		terminal.Field(row.MessageID), terminal.Field(row.Key), row.RetryCount)
	if row.StoredAs != "" {
		line += " stored_as=" + terminal.Field(row.StoredAs)
	}
	if row.Problem != "" {
		line += " problem=" + terminal.Field(row.Problem)
	}
	fmt.Fprintln(r.out, line)
}

// finish prints the sum and decides the exit code.
func (r *redrive) finish(err error) error {
	d := &r.doc
	d.DryRun = r.flags.dryRun
	left := d.Refused + d.Failed + d.Held
	if err != nil && d.Aborted == "" {
		d.Aborted = err.Error()
	}
	if r.output == formatJSON {
		if perr := r.printJSON(d); perr != nil {
			return perr
		}
	} else if len(d.Messages) > 0 {
		fmt.Fprintf(r.out, "[dlq-redrive] sent=%d refused=%d failed=%d held=%d\n", d.Sent, d.Refused, d.Failed, d.Held)
	}
	switch {
	case err != nil && len(d.Messages) == 0:
		return err
	case left > 0 || d.Aborted != "":
		text := fmt.Sprintf("%d sent, %d left open", d.Sent, left)
		if d.Aborted != "" {
			text += "; stopped early: " + d.Aborted
		}
		return exitf(ExitPartial, "%s", text)
	case len(d.Messages) == 0:
		return r.flags.nothing()
	}
	return nil
}

// errDry is what a dry transport answers.
var errDry = errors.New("dry run")

// dryTransport stores nothing: a redrive runs as it would, up to the broker.
type dryTransport struct{ driver.Transport }

// Publish implements driver.Transport.
func (dryTransport) Publish(recs []driver.Record, settle func(i int, o driver.Outcome)) {
	for i := range recs {
		settle(i, driver.Outcome{Err: errDry})
	}
}
