package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// maxBench keeps a mistyped count from filling a disk.
const maxBench = 100_000_000

// benchFlags hold a load.
type benchFlags struct {
	topic, producer, source, pk, schema string
	count, size, keys, rate             number
}

func (f *benchFlags) add(cmd *cobra.Command, topicFlag string) {
	f.count = number{value: 10_000, min: 1, max: maxBench}
	f.size = number{value: 256, min: 0, max: ampybus.MaxInlinePayload}
	f.keys = number{value: 1, min: 1, max: 1_000_000}
	f.rate = number{min: 1, max: 10_000_000}
	fs := cmd.Flags()
	fs.StringVar(&f.topic, topicFlag, "", "`TOPIC` to publish to")
	fs.StringVar(&f.producer, "producer", "bench@cli", "`NAME` of the producer")
	fs.StringVar(&f.source, "source", "bench", "`NAME` of the source")
	fs.StringVar(&f.pk, "pk", "", "partition `KEY` (else the subtopic)")
	fs.StringVar(&f.schema, "schema", "", "payload `TYPE` (else the topic's)")
	fs.Var(&f.count, "count", "messages to publish")
	fs.Var(&f.size, "size", "bytes of each payload")
	fs.Var(&f.keys, "keys", "different partition keys, in turn")
	fs.Var(&f.rate, "rate", "messages a second, at fixed times; else as fast as possible")
}

func (f *benchFlags) load() (bench.Load, error) {
	topic, err := ampybus.ParseTopic(f.topic)
	if err != nil {
		return bench.Load{}, err
	}
	e := envelopeFlags{topic: f.topic, schema: f.schema}
	schema, err := e.schemaOrDefault()
	if err != nil {
		return bench.Load{}, err
	}
	l := bench.Load{
		Topic: f.topic, Schema: schema, Producer: f.producer, Source: f.source, Key: or(f.pk, topic.Subtopic),
		Keys: f.keys.value, Count: f.count.value, PayloadBytes: f.size.value, Rate: float64(f.rate.value),
	}
	return l, l.Validate()
}

func (a *app) benchPub() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench-pub",
		Short: "Publish many messages and print the rate and the latencies",
		Example: `  ampybusctl bench-pub --topic ampy.prod.bars.v1.XNAS.AAPL \
    --producer bench@test --source bench --pk XNAS.AAPL --count 1000`,
	}
	f.add(cmd, "topic")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		load, err := f.load()
		if err != nil {
			return err
		}
		b, err := a.open(cmd)
		if err != nil {
			return err
		}
		defer b.Close()
		r, err := bench.Run(cmd.Context(), "bus", bench.Bus{Bus: b}, load)
		if err != nil {
			return err
		}
		if err := a.showBench(r); err != nil {
			return err
		}
		return benchVerdict(cmd.Context(), r)
	}, "topic")
}

func (a *app) showBench(r *bench.Result) error {
	if a.output == formatJSON {
		return a.printJSON(r.Doc())
	}
	fmt.Fprintln(a.out, r.Summary())
	if r.Count() > 0 {
		fmt.Fprintln(a.out, r.Costs())
	}
	return nil
}

// benchVerdict is an error unless all messages were stored.
func benchVerdict(ctx context.Context, rs ...*bench.Result) error {
	for _, r := range rs {
		switch {
		case r.Count() == r.Wanted && r.Err == nil:
		case r.Published == 0 && r.Err != nil:
			return r.Err
		case r.Err != nil:
			return exitf(ExitPartial, "%d of %d messages are not stored, %d may be; the first: %s", r.Failed, r.Wanted, r.Uncertain, terminal.Escape(r.Err.Error()))
		case ctx.Err() != nil:
			return exitf(ExitPartial, "stopped after %d of %d messages", r.Count(), r.Wanted)
		default:
			return exitf(ExitPartial, "%d of %d messages arrived", r.Count(), r.Wanted)
		}
	}
	return nil
}
