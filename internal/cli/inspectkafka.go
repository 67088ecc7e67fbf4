package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// inspectKafka is kafkainspect without a subcommand: consume.
func (a *app) inspectKafka() *cobra.Command {
	cmd := a.consumeCommand(&cobra.Command{
		Use:   "kafkainspect",
		Short: "Look at Kafka topics and messages of the ampy bus; it commits nothing",
		Long: `Look at Kafka topics and messages of the ampy bus. It changes nothing, joins no
group and commits nothing. Without a command it does what consume does.

` + exitCodes,
		Example: `  kafkainspect --brokers 127.0.0.1:9092 \
    --topic ampy.prod.bars.v1.XNAS.AAPL --group inspector --max 5
  kafkainspect list-topics --brokers 127.0.0.1:9092`,
	})
	return cmd
}

func (a *app) inspectConsume() *cobra.Command {
	return a.consumeCommand(&cobra.Command{
		Use:   "consume",
		Short: "Print messages of a topic, the oldest first; it commits nothing",
		Example: `  kafkainspect consume --brokers 127.0.0.1:9092 \
    --topic ampy.prod.bars.v1.XNAS.AAPL --max 10 --decode
  kafkainspect consume --topic "ampy.prod.orders.v1.>" --from 1h -o json`,
	})
}

// defaultInspected is enough to see what a topic holds.
const defaultInspected = 10

func (a *app) consumeCommand(cmd *cobra.Command) *cobra.Command {
	f := subFlags{max: number{value: defaultInspected, min: 1, max: maxMessages}, noFollow: true}
	fs := cmd.Flags()
	fs.StringVar(&f.subject, "topic", "", "`TOPIC` of the bus, or a pattern: * is one token, a final > the rest")
	fs.StringVar(&f.positions, "group", "", "begin where this `GROUP` stands, and leave it there (else at the oldest message)")
	fs.Var(&f.from, "from", "begin at a time, or so long ago")
	fs.Var(&f.max, "max", "at most so many messages")
	fs.BoolVar(&f.decode, "decode", false, "print payloads as JSON, or why they do not decode")
	fs.BoolVar(&f.headers, "headers", false, "print all headers")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		if f.positions != "" && f.from.given() {
			return usagef("--group, --from: give one of them")
		}
		if err := f.check(); err != nil {
			return err
		}
		return a.subscribe(cmd, &f)
	}, "topic")
}

// startOf is where a group stands in each log. A log that it has no position in
// is read from its oldest record.
func startOf(ctx context.Context, b *ampybus.Bus, group string) (map[string]uint64, error) {
	lag, err := b.Lag(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("find where group %s stands: %w", group, err)
	}
	from := make(map[string]uint64, len(lag.Lanes))
	for _, l := range lag.Lanes {
		if at, ok := from[l.Log]; !ok || l.Committed < at {
			from[l.Log] = l.Committed
		}
	}
	return from, nil
}
