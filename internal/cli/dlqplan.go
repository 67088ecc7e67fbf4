package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/redrive"
)

// planFlags select the dead letters of a plan.
type planFlags struct {
	subject      string
	filter       redrive.Filter
	since, until start
	limit        number
}

func (a *app) dlqPlan() *cobra.Command {
	f := planFlags{limit: number{min: 1, max: maxMessages}}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "List the open dead letters that would be sent back; it changes nothing",
		Long: `List the open dead letters that would be sent back, in that order. It changes
nothing. With -o json the list is a plan that dlq apply takes: review it, cut it
down, keep it. What dies later is not part of it.

A filter that is given several times selects what any of its values matches. In
--reason, --key and --group * stands for any text; --topic is a pattern of the
topics that the messages came from. --where is a condition on topic, key, reason,
code, group, message_id, schema, producer, source, run_id, retry_count, attempts,
size, died_at and produced_at.`,
		Example: `  ampybusctl dlq plan --subject "ampy.prod.dlq.v1.>" --since 24h
  ampybusctl dlq plan --subject "ampy.prod.dlq.v1.bars" --reason 'decode*' --topic "ampy.prod.bars.v1.XNAS.>" -o json > plan.json
  ampybusctl dlq plan --subject "ampy.prod.dlq.v1.orders" --where 'retry_count < 2 && reason contains "timeout"'`,
	}
	fs := cmd.Flags()
	fs.StringVar(&f.subject, "subject", "", "`PATTERN` of dead-letter topics, such as ampy.prod.dlq.v1.>")
	fs.StringArrayVar(&f.filter.Reasons, "reason", nil, "those with this reason `CODE`, such as decode:proto")
	fs.StringArrayVar(&f.filter.Keys, "key", nil, "those of this partition `KEY`")
	fs.StringArrayVar(&f.filter.Topics, "topic", nil, "those that came from this `PATTERN` of topics")
	fs.StringArrayVar(&f.filter.Groups, "group", nil, "those that this `GROUP` gave up")
	fs.Var(&f.since, "since", "those that died since a time, or so long ago")
	fs.Var(&f.until, "until", "those that died before a time, or before so long ago")
	fs.StringVar(&f.filter.Where, "where", "", whereUsage)
	fs.Var(&f.limit, "limit", "at most so many, the oldest first")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error { return a.plan(cmd, &f) }, "subject")
}

// check reports every fault of the flags; those of --topic before the others,
// which a pattern's own fault would call --subject.
func (f *planFlags) check() error {
	var faults []error
	for _, topic := range f.filter.Topics {
		_, err := ampybus.ParsePattern(topic)
		for _, fault := range ampybus.FieldErrors(err) {
			fault.Field = "topic"
			faults = append(faults, fault)
		}
	}
	if faults != nil {
		return errors.Join(faults...)
	}
	return f.filter.Validate()
}

func (a *app) plan(cmd *cobra.Command, f *planFlags) error {
	f.filter.Since, f.filter.Until, f.filter.Limit = f.since.at, f.until.at, f.limit.value
	if err := f.check(); err != nil {
		return err
	}
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	p, err := redrive.Make(cmd.Context(), b, f.subject, f.filter)
	if err != nil {
		return err
	}
	if len(p.Entries) == 0 {
		return exitf(ExitNothing, "no open dead letter on %s matches", f.subject)
	}
	if a.output == formatJSON {
		return a.printPlan(p)
	}
	a.showPlan(p)
	return nil
}

// printPlan prints JSON as redrive.ReadPlan reads it.
func (a *app) printPlan(p *redrive.Plan) error {
	var b strings.Builder
	if err := redrive.WritePlan(&b, p); err != nil {
		return err
	}
	_, err := io.WriteString(a.out, terminal.EscapeText(b.String()))
	return err
}

func (a *app) showPlan(p *redrive.Plan) {
	rows := make([][]string, 0, len(p.Entries))
	bytes := 0
	for _, e := range p.Entries {
		bytes += e.Size
		rows = append(rows, []string{
			e.Origin, or(e.Target, "-"), or(e.Key, "-"), or(e.Group, "-"), strconv.Itoa(e.RetryCount),
			e.DiedAt.UTC().Format(time.RFC3339), strconv.Itoa(e.Size), or(e.Reason, "-"),
		})
	}
	printTable(a.out, []string{"ORIGIN", "TARGET", "KEY", "GROUP", "RETRIES", "DIED", "BYTES", "REASON"}, rows)
	fmt.Fprintf(a.out, "planned: %d, %d bytes; -o json gives the plan for dlq apply\n", len(p.Entries), bytes)
}
