package cli

import (
	"github.com/spf13/cobra"
)

// redriveFlags hold what to send back, and why.
type redriveFlags struct {
	deadLetterFlags
	applyFlags
}

func (a *app) dlqRedrive() *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use:   "dlq-redrive",
		Short: "Send dead letters back to the topics that they came from",
		Long: `Send dead letters back to the topics that they came from, oldest first.

It looks at the dead letters that are open when it starts, each once: one that
fails again is a new dead letter and waits for the next time. What is refused or
cannot be sent stays open, and so do the later dead letters of its key (exit 8).
--max counts what is sent. To review before sending, see dlq plan and dlq apply.`,
		Example: `  ampybusctl dlq-redrive --subject "ampy.prod.dlq.v1.>" --max 5
  ampybusctl dlq-redrive --subject "ampy.prod.dlq.v1.>" --dry-run
  ampybusctl dlq-redrive --subject "ampy.prod.dlq.v1.bars" --message-id 018f5e35-0f42-7a31-9e77-1c2a9b11d0ef --payload fixed.json`,
	}
	f.add(cmd, 100)
	f.addApply(a, cmd, "redriven by hand")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		if f.payload != "" && f.id == "" {
			return usagef("--payload: it replaces the payload of one message; name that with --message-id")
		}
		return a.redriveAll(cmd, &f)
	}, "subject", "reason", "requester")
}

func (a *app) redriveAll(cmd *cobra.Command, f *redriveFlags) error {
	if err := f.deadLetterFlags.check(); err != nil {
		return err
	}
	r, err := a.newRedriveRun(cmd, &f.applyFlags)
	if err != nil {
		return err
	}
	defer r.close()
	p, err := r.plan(cmd.Context(), &f.deadLetterFlags)
	if err != nil {
		return err
	}
	if len(p.Entries) == 0 {
		return f.nothing()
	}
	return r.apply(cmd.Context(), p)
}
