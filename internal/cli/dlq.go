package cli

import (
	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// dlq is the group of commands that look at dead letters one by one, and send
// them back in reviewed steps.
func (a *app) dlq() *cobra.Command {
	cmd := a.group("dlq", "Plan, review, repair and send back dead letters", `Plan, review, repair and send back dead letters.

Nothing is ever removed: a dead letter that is sent back or discarded is settled,
and stays stored as evidence.`,
		a.dlqPlan(), a.dlqShow(), a.dlqEdit(), a.dlqApply())
	cmd.Example = `  ampybusctl dlq plan  --subject "ampy.prod.dlq.v1.bars" --reason 'decode*' -o json > plan.json
  ampybusctl dlq show  --subject "ampy.prod.dlq.v1.bars" --origin AMPY_PROD_DLQ:17
  ampybusctl dlq edit  --subject "ampy.prod.dlq.v1.bars" --origin AMPY_PROD_DLQ:17 --outdir fix
  ampybusctl dlq apply --plan plan.json --edited fix/17-0c5c2d19d3a4f0b1.fixture.json --reason "scale fixed"`
	return cmd
}

// group is a command that only has others below it.
func (a *app) group(name, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Long: long, Args: noArguments,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SuggestionsMinimumDistance: maxTypingErrors,
	}
	cmd.AddCommand(commands...)
	return cmd
}

// oneLetterFlags name one dead letter, or those of one message.
type oneLetterFlags struct {
	subject, origin, id string
}

func (f *oneLetterFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.subject, "subject", "", "`PATTERN` of dead-letter topics, such as ampy.prod.dlq.v1.>")
	fs.StringVar(&f.origin, "origin", "", "the one at this `PLACE`, as dlq-inspect and dlq plan print it")
	fs.StringVar(&f.id, "message-id", "", "those of the message with this `UUID`")
}

func (f *oneLetterFlags) check() error {
	if (f.origin == "") == (f.id == "") {
		return usagef("--origin, --message-id: give one of them")
	}
	return nil
}

// find reads the dead letters that are named, settled ones too.
func (f *oneLetterFlags) find(cmd *cobra.Command, a *app, b *ampybus.Bus) ([]*ampybus.DeadLetter, error) {
	var found []*ampybus.DeadLetter
	err := a.eachDeadLetter(cmd.Context(), b, f.subject, true, func(d *ampybus.DeadLetter) (bool, error) {
		if f.origin != "" && d.Origin() == f.origin || f.id != "" && d.Headers.MessageID == f.id {
			found = append(found, d)
		}
		return f.id != "" || len(found) == 0, nil
	})
	if err == nil && len(found) == 0 {
		err = exitf(ExitNothing, "%s holds no dead letter %s", f.subject, or(f.origin, f.id))
	}
	return found, err
}
