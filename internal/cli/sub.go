package cli

import (
	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// subFlags hold what to read and how to show it.
type subFlags struct {
	subject, durable          string
	positions                 string // group at whose position reading begins
	from                      start
	max                       number
	decode, headers, noFollow bool
}

func (a *app) sub() *cobra.Command {
	return a.subCommand("subject", "durable", `  ampybusctl sub --subject "ampy.prod.bars.v1.>"
  ampybusctl sub --subject "ampy.prod.bars.v1.>" --durable my-consumer
  ampybusctl sub --subject "ampy.prod.orders.v1.>" --from 1h --no-follow -o json --decode`)
}

// kafkaSub is sub with the names that users of Kafka know.
func (a *app) kafkaSub() *cobra.Command {
	return a.subCommand("topic", "group", `  kafkabusctl sub --brokers 127.0.0.1:9092 \
    --topic ampy.prod.bars.v1.XNAS.AAPL --group cli-consumer
  kafkabusctl sub --topic "ampy.prod.orders.v1.>" --from 1h --no-follow -o json --decode`)
}

func (a *app) subCommand(topicFlag, groupFlag, example string) *cobra.Command {
	f := subFlags{max: number{min: 1, max: maxMessages}}
	cmd := &cobra.Command{
		Use:   "sub",
		Short: "Print messages as they come",
		Long: `Print messages as they come, one line each, or as JSON with -o json.

Without --` + groupFlag + ` it leaves no trace on the broker: it begins now, or with --from
in the past. With --` + groupFlag + ` it is a member of that group: it goes on where the
group stopped, and a message that breaks the contract (with --decode also one
whose payload does not decode) becomes a dead letter.

It ends after --max messages, after --timeout (exit 7 if --max was not reached),
with --no-follow at the newest message, or with Ctrl+C.`,
		Example: example,
	}
	fs := cmd.Flags()
	fs.StringVar(&f.subject, topicFlag, "", "`PATTERN` of topics: * is one token, a final > the rest")
	fs.StringVar(&f.durable, groupFlag, "", "`GROUP` whose position is kept on the broker")
	fs.Var(&f.from, "from", "begin at a time, so long ago, or with all that is held; a group that exists has its own position")
	fs.Var(&f.max, "max", "end after so many messages")
	fs.BoolVar(&f.noFollow, "no-follow", false, "end at the newest message (exit 4 if there was none)")
	fs.BoolVar(&f.decode, "decode", false, "print payloads as JSON")
	fs.BoolVar(&f.headers, "headers", false, "print all headers")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		if err := f.check(); err != nil {
			return err
		}
		return a.subscribe(cmd, &f)
	}, topicFlag)
}

// maxMessages keeps a typing error from running for days.
const maxMessages = 1_000_000_000

func (f *subFlags) check() error {
	if f.noFollow && f.durable != "" {
		return usagef("--no-follow: a group goes on for ever; end it with --max or --timeout")
	}
	p, err := ampybus.ParsePattern(f.subject)
	group := or(f.durable, f.positions)
	if err != nil || group == "" {
		return err
	}
	return ampybus.Consumer{Pattern: p.String(), Group: group}.Validate()
}
