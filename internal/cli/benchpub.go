package cli

import "github.com/spf13/cobra"

func (a *app) benchPub() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench-pub",
		Short: "Publish many messages and print the rate and the latencies",
		Long: `Publish many messages and print the rate, the latencies and the client's CPU, on
NATS or Kafka.

` + benchModes + `

--compare raw takes turns with the client library alone; benchnats and
benchkafka say what it does.`,
		Example: `  ampybusctl bench-pub --topic ampy.prod.bars.v1.XNAS.AAPL \
    --producer bench@test --source bench --pk XNAS.AAPL --count 1000
  ampybusctl bench-pub --topic ampy.dev.orders.v1.requests --pk co_1 \
    --mode end-to-end --rate 1000 --for 10s --slo`,
	}
	f.add(cmd, "topic")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error { return a.benchmark(cmd, &f) }, "topic")
}
