package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/internal/terminal"
)

// compareFlags hold a load and what to compare the bus with.
type compareFlags struct {
	benchFlags
	compare string
	rounds  number
}

func (f *compareFlags) add(cmd *cobra.Command, topicFlag string) {
	f.benchFlags.add(cmd, topicFlag)
	f.rounds = number{value: 2, min: 1, max: 100}
	cmd.Flags().StringVar(&f.compare, "compare", "", "compare with `raw`, the client library alone")
	cmd.Flags().Var(&f.rounds, "rounds", "runs of each side of a comparison")
}

func (a *app) benchNATS() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "benchnats",
		Short: "Measure how fast the bus publishes to NATS",
		Long: `Measure how fast the bus publishes to NATS.

With --compare raw it takes turns with the client library alone, which sends the
same headers and ids pipelined, without order per key, validation and retries.`,
		Example: `  go run cmd/benchnats/main.go --subject ampy.prod.bars.v1.XNAS.AAPL \
    --count 10000 --nats nats://127.0.0.1:4222
  go run cmd/benchnats/main.go --subject ampy.dev.bars.v1.XNAS.AAPL --count 100000 --keys 100 --compare raw`,
	}
	f.add(cmd, "subject")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error { return a.compare(cmd, &f) }, "subject")
}

// compare runs a benchmark as its flags say.
func (a *app) compare(cmd *cobra.Command, f *compareFlags) error {
	if f.compare != "" && f.compare != "raw" {
		return usagef("--compare: %s is not raw", terminal.Field(f.compare))
	}
	load, err := f.load()
	if err != nil {
		return err
	}
	if f.compare == "" {
		f.rounds.value = 0
	}
	return a.benchmark(cmd, load, f.rounds.value)
}

// benchmark runs the load once, or with rounds in turn with the raw client.
func (a *app) benchmark(cmd *cobra.Command, load bench.Load, rounds int) error {
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	a.sayKafkaTopic(load.Topic)
	bus := bench.Named{Name: "bus", Publisher: bench.Bus{Bus: b}}
	if rounds == 0 {
		r, err := bench.Run(cmd.Context(), bus.Name, bus, load)
		if err != nil {
			return err
		}
		if err := a.showBench(r); err != nil {
			return err
		}
		return benchVerdict(cmd.Context(), r)
	}
	raw, err := a.rawClient()
	if err != nil {
		return err
	}
	defer raw.Close()
	c, err := bench.Compare(cmd.Context(), bus, bench.Named{Name: "raw", Publisher: raw}, load, rounds)
	if err != nil && cmd.Context().Err() == nil {
		return err
	}
	if err := a.showComparison(c); err != nil {
		return err
	}
	return benchVerdict(cmd.Context(), append(c.A, c.B...)...)
}

// rawClient publishes to the connected broker without the bus.
type rawClient interface {
	bench.Publisher
	Close()
}

func (a *app) rawClient() (rawClient, error) {
	if a.reached.OnKafka {
		return a.rawKafka(a.reached.Kafka)
	}
	return bench.DialRaw(a.reached.NATS)
}

// comparisonDoc is a comparison as JSON.
type comparisonDoc struct {
	Runs   []bench.Doc  `json:"runs"`
	Ratios bench.Ratios `json:"ratios"`
}

func (a *app) showComparison(c bench.Comparison) error {
	var turns []*bench.Result
	for i := range c.A {
		turns = append(turns, c.A[i])
		if i < len(c.B) {
			turns = append(turns, c.B[i])
		}
	}
	if a.output == formatJSON {
		doc := comparisonDoc{Ratios: c.Ratios()}
		for _, r := range turns {
			doc.Runs = append(doc.Runs, r.Doc())
		}
		return a.printJSON(doc)
	}
	for _, r := range turns {
		fmt.Fprintf(a.out, "%s: %s\n%s: %s\n", r.Name, r.Summary(), r.Name, r.Latencies())
	}
	fmt.Fprintln(a.out, c)
	return nil
}
