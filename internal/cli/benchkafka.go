package cli

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
)

func (a *app) benchKafka() *cobra.Command {
	var f benchFlags
	var linger time.Duration
	cmd := &cobra.Command{
		Use:   "benchkafka",
		Short: "Measure how fast the bus publishes to Kafka and consumes from it",
		Long: `Measure how fast the bus publishes to Kafka and consumes from it.

` + benchModes + `

With --compare raw it takes turns with the client library alone, which sends the
same headers with the same acknowledgement, compression and linger, without
validation, ids, order over failures and retries of the bus, hands a batch to
ProduceSync, and consumes as a group that commits by hand. --compare raw-sync lets it wait for each
acknowledgement before it publishes the next.`,
		Example: `  go run cmd/benchkafka/main.go --brokers 127.0.0.1:9092 \
    --topic ampy.prod.bars.v1.XNAS.AAPL --count 10000
  go run cmd/benchkafka/main.go --topic ampy.dev.bars.v1.XNAS.AAPL --count 100000 --keys 256 --compare raw
  go run cmd/benchkafka/main.go --topic ampy.dev.bars.v1.XNAS.AAPL --mode consume --count 1000000 --compare raw
  go run cmd/benchkafka/main.go --topic ampy.dev.bars.v1.XNAS.AAPL --batch 100 --keys 256 --compare raw
  go run cmd/benchkafka/main.go --topic ampy.dev.bars.v1.XNAS.AAPL --mode end-to-end \
    --rates 500,1000,2000,5000,10000 --for 10s --compare raw --slo --plot latency.svg`,
	}
	f.add(cmd, "topic")
	cmd.Flags().DurationVar(&linger, "linger", 0, "how long a batch waits for more records, on both sides")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		a.linger = linger
		return a.benchmark(cmd, &f)
	}, "topic")
}

// rawKafka connects with the client library alone, as c says.
func (a *app) rawKafka(c kafkabinding.Config) (*bench.RawKafka, error) {
	opts, err := kafkaOptions(c)
	if err != nil {
		return nil, err
	}
	return bench.DialRawKafka(opts, func(topic string) string { return kafkaTopicOf(a.address(), topic) },
		kgo.ProducerLinger(c.Linger), kgo.ProducerBatchCompression(kgo.SnappyCompression()))
}
