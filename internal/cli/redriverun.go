package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/redrive"
)

// maxFailuresInRow ends a redrive that gets nowhere: each failure has waited for
// the publish ceiling of its class already.
const maxFailuresInRow = 3

var errGettingNowhere = fmt.Errorf("%d failures in a row", maxFailuresInRow)

// redriveRun sends back the dead letters of one plan.
type redriveRun struct {
	*app
	bus   *ampybus.Bus
	flags *applyFlags
	audit *auditLog

	done, planned int
	failing       int // failures in a row
}

func (a *app) newRedriveRun(cmd *cobra.Command, f *applyFlags) (*redriveRun, error) {
	log, err := f.openAudit(a)
	if err != nil {
		return nil, err
	}
	b, err := a.open(cmd)
	if err != nil {
		log.close()
		return nil, err
	}
	return &redriveRun{app: a, bus: b, flags: f, audit: log}, nil
}

func (r *redriveRun) close() {
	_ = r.bus.Close()
	r.audit.close()
}

// plan selects what to send: of the dead letters that are open now, as many as
// --max. What would be refused does not count, or a few dead letters that can
// never be sent would hide all others.
func (r *redriveRun) plan(ctx context.Context, f *deadLetterFlags) (*redrive.Plan, error) {
	p, err := redrive.Make(ctx, r.bus, f.subject, f.filter())
	if err != nil {
		return nil, err
	}
	o := r.flags.options()
	o.DryRun, o.StopOnFailure = true, false
	preview, err := redrive.Apply(ctx, r.bus, p, o)
	if err != nil {
		return nil, err
	}
	for i, n := 0, 0; i < len(preview.Results); i++ {
		if preview.Results[i].Outcome == redrive.Would {
			n++
		}
		if n == f.max.value {
			p.Entries = p.Entries[:i+1]
			break
		}
	}
	return p, nil
}

// apply sends what p lists. It reports and records also what an interruption
// left.
func (r *redriveRun) apply(ctx context.Context, p *redrive.Plan) error {
	o := r.flags.options()
	var err error
	if o.Payloads, err = r.flags.repaired(ctx, r.app, r.bus, p); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.planned = len(p.Entries)
	o.Progress = func(res redrive.Result) {
		r.show(res)
		if r.failing >= maxFailuresInRow {
			stop(errGettingNowhere)
		}
	}
	report, err := redrive.Apply(ctx, r.bus, p, o)
	if report == nil {
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return errors.Join(r.record(p, report, o, err), r.finish(report, err))
}

// record writes who sent what back and why. A dry run changes nothing and
// leaves no trace.
func (r *redriveRun) record(p *redrive.Plan, report *redrive.Report, o redrive.Options, err error) error {
	if report.DryRun {
		return nil
	}
	entry := r.flags.entry("redrive", p.Pattern)
	if err != nil {
		entry.Error = err.Error()
	}
	for _, res := range report.Results {
		entry.add(auditedMessage{
			Origin: res.Origin, MessageID: res.MessageID, Outcome: string(res.Outcome),
			NewOrigin: res.NewOrigin, Repaired: o.Payloads[res.Origin] != nil,
		})
	}
	return r.audit.write(entry)
}

// show prints one outcome, and progress where somebody looks.
func (r *redriveRun) show(res redrive.Result) {
	r.done++
	switch res.Outcome {
	case redrive.Failed:
		r.failing++
	case redrive.Redriven:
		r.failing = 0
	}
	if r.screen != nil {
		fmt.Fprintf(r.screen, "\r%d of %d\r", r.done, r.planned)
	}
	if r.output == formatJSON {
		return
	}
	line := fmt.Sprintf("[redrive] %s origin=%s target=%s msg_id=%s pk=%s retry_count=%d",
		res.Outcome, terminal.Field(res.Origin), terminal.Field(res.Target),
		terminal.Field(res.MessageID), terminal.Field(res.Key), res.RetryCount+1)
	if res.NewOrigin != "" {
		line += " stored_as=" + terminal.Field(res.NewOrigin)
	}
	if res.Error != "" {
		line += " problem=" + terminal.Field(res.Error)
	}
	fmt.Fprintln(r.out, line)
}

// finish prints the sum and decides the exit code.
func (r *redriveRun) finish(report *redrive.Report, err error) error {
	if r.output == formatJSON {
		if err := r.printJSON(report); err != nil {
			return err
		}
	} else {
		fmt.Fprint(r.out, "[dlq-redrive]")
		for _, o := range []redrive.Outcome{
			redrive.Redriven, redrive.Would, redrive.Refused, redrive.Failed, redrive.Held,
			redrive.Gone, redrive.Changed, redrive.Skipped,
		} {
			if n := report.Counts[o]; n > 0 {
				fmt.Fprintf(r.out, " %s=%d", o, n)
			}
		}
		fmt.Fprintln(r.out)
	}
	if err == nil && report.Complete() {
		return nil
	}
	text := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		text = "; stopped early: " + err.Error()
	}
	return exitf(ExitPartial, "%d of %d stay open%s", r.left(report), len(report.Results), text)
}

// left is how many of the plan were neither sent nor settled by others.
func (r *redriveRun) left(report *redrive.Report) int {
	return len(report.Results) - report.Counts[redrive.Redriven] - report.Counts[redrive.Would] - report.Counts[redrive.Gone]
}
