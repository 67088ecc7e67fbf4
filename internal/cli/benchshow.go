package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/internal/terminal"
)

// concludeBench prints what was measured, draws it, and is an error unless all
// messages went their way and every target was met.
func (a *app) concludeBench(ctx context.Context, f *benchFlags, steps []bench.Step, plot *plotFile) error {
	var verdicts []bench.Verdict
	var runs []*bench.Result
	for _, s := range steps {
		runs = append(runs, s.Runs()...)
		if f.objective > 0 {
			verdicts = append(verdicts, bench.Judge(s.A, f.objective)...)
		}
	}
	if err := a.showBench(f, steps, verdicts); err != nil {
		return err
	}
	if err := plot.draw(f, steps); err != nil {
		return err
	}
	if err := benchVerdict(ctx, runs...); err != nil {
		return err
	}
	return missed(verdicts)
}

// missed is an error if a target is.
func missed(verdicts []bench.Verdict) error {
	n := 0
	for _, v := range verdicts {
		if !v.Met {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return exitf(ExitCheck, "%d of %d targets missed", n, len(verdicts))
}

// benchVerdict is an error unless all messages were stored.
func benchVerdict(ctx context.Context, rs ...*bench.Result) error {
	for _, r := range rs {
		switch {
		case r.Count() == r.Wanted && r.Err == nil:
		case r.Published == 0 && r.Err != nil:
			return r.Err
		case r.Err != nil:
			return exitf(ExitPartial, "%d of %d messages are not stored, %d may be; the first: %s", r.Failed, r.Wanted, r.Uncertain, terminal.Escape(r.Err.Error()))
		case ctx.Err() != nil:
			return exitf(ExitPartial, "stopped after %d of %d messages", r.Count(), r.Wanted)
		default:
			return exitf(ExitPartial, "%d of %d messages arrived", r.Count(), r.Wanted)
		}
	}
	return nil
}

func (a *app) showBench(f *benchFlags, steps []bench.Step, verdicts []bench.Verdict) error {
	if a.output == formatJSON {
		return a.printJSON(benchDoc(f, steps, verdicts))
	}
	switch {
	case len(f.rates) > 0:
		a.showSweep(f, steps)
	case f.compare != "":
		a.showComparison(steps[0].Comparison)
	default:
		a.showRun(steps[0].A[0])
	}
	if len(verdicts) > 0 {
		fmt.Fprintln(a.out)
		printTable(a.out, []string{"TARGET", "RATE", "LIMIT", "MEASURED", "VERDICT"}, verdictRows(verdicts))
	}
	return nil
}

func (a *app) showRun(r *bench.Result) {
	fmt.Fprintln(a.out, r.Summary())
	if r.Count() > 0 {
		fmt.Fprintln(a.out, r.Costs())
	}
}

func (a *app) showComparison(c bench.Comparison) {
	for _, r := range c.Runs() {
		fmt.Fprintf(a.out, "%s: %s\n%s: %s\n", r.Name, r.Summary(), r.Name, r.Costs())
	}
	fmt.Fprintln(a.out, c)
}

func verdictRows(verdicts []bench.Verdict) [][]string {
	rows := make([][]string, len(verdicts))
	for i, v := range verdicts {
		verdict := "missed"
		if v.Met {
			verdict = "met"
		}
		figure := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) + " " + v.Unit }
		rows[i] = []string{v.Target, figureOf(v.Rate), figure(v.Limit), figure(v.Measured), verdict}
	}
	return rows
}

func figureOf(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
