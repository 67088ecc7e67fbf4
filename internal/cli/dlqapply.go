package cli

import (
	"bytes"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/redrive"
)

// applyFlags hold how dead letters are sent back, and why.
type applyFlags struct {
	account
	repairFlags
	rate                         number
	force, dryRun, stopOnFailure bool
}

// addApply adds the flags of sending back.
func (f *applyFlags) addApply(a *app, cmd *cobra.Command, reason string) {
	f.rate = number{min: 1, max: 1_000_000}
	fs := cmd.Flags()
	fs.BoolVar(&f.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	fs.Var(&f.rate, "rate", "send at most so many a second")
	fs.BoolVar(&f.stopOnFailure, "stop-on-failure", false, "end at the first that is not sent")
	fs.BoolVar(&f.force, "force", false, "send even what was sent back as often as its policy allows")
	f.addRepair(cmd)
	f.addAccount(a, cmd, reason)
}

func (f *applyFlags) options() redrive.Options {
	return redrive.Options{
		Reason: f.reason, Requester: f.requester, Rate: float64(f.rate.value),
		StopOnFailure: f.stopOnFailure, Force: f.force, DryRun: f.dryRun,
	}
}

// maxPlanFile bounds a plan's file, as redrive.ReadPlan does.
const maxPlanFile = 64 << 20

func (a *app) dlqApply() *cobra.Command {
	var (
		f    applyFlags
		plan string
	)
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Send back the dead letters of a plan, and say what became of each",
		Long: `Send back the dead letters of a plan, each partition key in order, and say what
became of each. What is refused or cannot be sent stays open, and so do the later
ones of its key (exit 8). What was settled since the plan was made is left alone,
and so is what is not the message that was planned. After an interruption make a
new plan: it holds what is left.`,
		Example: `  ampybusctl dlq apply --plan plan.json --reason "scale fixed in yfinance-go 1.4.2" --dry-run
  ampybusctl dlq apply --plan plan.json --reason "scale fixed in yfinance-go 1.4.2" --rate 50 --audit redrives.jsonl -o json`,
	}
	cmd.Flags().StringVar(&plan, "plan", "", "`FILE` of the plan, as dlq plan -o json prints it; - for stdin")
	f.addApply(a, cmd, "")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		p, err := a.readPlan(plan)
		if err != nil {
			return err
		}
		return a.applyPlan(cmd, &f, p)
	}, "plan", "reason")
}

func (a *app) readPlan(name string) (*redrive.Plan, error) {
	data, err := readInput(a.in, name, maxPlanFile)
	if err != nil {
		return nil, usagef("--plan: %w", err)
	}
	p, err := redrive.ReadPlan(bytes.NewReader(data))
	if err != nil {
		return nil, usagef("--plan: %w", err)
	}
	pattern, err := ampybus.ParsePattern(p.Pattern)
	if err != nil {
		return nil, usagef("--plan: its pattern: %v", err)
	}
	for _, s := range pattern.Scopes() {
		if s.Domain != ampybus.DomainDLQ {
			return nil, usagef("--plan: its pattern %s reaches beyond the dlq domain", p.Pattern)
		}
	}
	return p, nil
}

func (a *app) applyPlan(cmd *cobra.Command, f *applyFlags, p *redrive.Plan) error {
	if len(p.Entries) == 0 {
		return exitf(ExitNothing, "--plan: it holds no dead letter")
	}
	r, err := a.newRedriveRun(cmd, f)
	if err != nil {
		return err
	}
	defer r.close()
	return r.apply(cmd.Context(), p)
}
