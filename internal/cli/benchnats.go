package cli

import "github.com/spf13/cobra"

func (a *app) benchNATS() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "benchnats",
		Short: "Measure how fast the bus publishes to NATS and consumes from it",
		Long: `Measure how fast the bus publishes to NATS and consumes from it.

` + benchModes + `

With --compare raw it takes turns with the client library alone, which sends the
same headers and ids pipelined, without order per key, validation and retries,
pipelines a batch and waits for all of it, and consumes with an acknowledgement
for each message. --compare raw-sync lets
it wait for each acknowledgement before it publishes the next.`,
		Example: `  go run cmd/benchnats/main.go --subject ampy.prod.bars.v1.XNAS.AAPL \
    --count 10000 --nats nats://127.0.0.1:4222
  go run cmd/benchnats/main.go --subject ampy.dev.bars.v1.XNAS.AAPL --count 100000 --keys 256 --compare raw
  go run cmd/benchnats/main.go --subject ampy.dev.bars.v1.XNAS.AAPL --mode consume --count 300000 --compare raw
  go run cmd/benchnats/main.go --subject ampy.dev.bars.v1.XNAS.AAPL --batch 100 --keys 256 --compare raw
  go run cmd/benchnats/main.go --subject ampy.dev.bars.v1.XNAS.AAPL --mode end-to-end \
    --rates 500,1000,2000,5000,10000 --for 10s --compare raw --slo --plot latency.svg`,
	}
	f.add(cmd, "subject")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error { return a.benchmark(cmd, &f) }, "subject")
}
