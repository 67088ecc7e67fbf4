package cli

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// benchmark measures the bus as its flags say, alone or in turn with the raw
// client.
func (a *app) benchmark(cmd *cobra.Command, f *benchFlags) error {
	f.countGiven = cmd.Flags().Changed("count")
	if err := f.check(); err != nil {
		return err
	}
	works, err := f.works()
	if err != nil {
		return err
	}
	plot, err := openPlot(f.plot)
	if err != nil {
		return err
	}
	defer plot.discard()
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	a.sayKafkaTopic(works[0].Load.Topic)
	steps, err := a.measure(cmd.Context(), f, b, works)
	if err != nil {
		return err
	}
	return a.concludeBench(cmd.Context(), f, steps, plot)
}

// works are what to run: one for each rate.
func (f *benchFlags) works() ([]bench.Work, error) {
	load, err := f.load()
	if err != nil {
		return nil, err
	}
	w := bench.Work{Mode: bench.Mode(f.mode), Load: load, Callers: f.callers.value, Batch: f.batch.value}
	var works []bench.Work
	for _, rate := range f.rates {
		w.Load.Rate = float64(rate)
		works = append(works, w)
	}
	if works == nil {
		works = []bench.Work{w}
	}
	if f.span == 0 {
		return works, nil
	}
	for i := range works {
		n := works[i].Load.Rate * f.span.Seconds()
		if n > maxBench {
			return nil, usagef("--for: %s at %g messages a second are more than %d messages", f.span, works[i].Load.Rate, maxBench)
		}
		works[i].Load.Count = max(int(n), 1)
	}
	return works, nil
}

// measure runs the works. When ctx ends, what was measured until then counts.
func (a *app) measure(ctx context.Context, f *benchFlags, b *ampybus.Bus, works []bench.Work) ([]bench.Step, error) {
	var raw rawClient
	if f.compare != "" {
		var err error
		if raw, err = a.rawClient(); err != nil {
			return nil, err
		}
		defer raw.Close()
	}
	var steps []bench.Step
	for _, w := range works {
		if err := w.Store(ctx, bench.Bus{Bus: b}); err != nil {
			return nil, fmt.Errorf("store what is to be read: %w", err)
		}
		c, err := f.turns(ctx, bench.Bus{Bus: b}, raw, w)
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		steps = append(steps, bench.Step{Work: w, Comparison: c})
		if ctx.Err() != nil {
			break
		}
		a.logger.Info("measured", "rate", w.Load.Rate, "p99", bench.Percentile(c.A, 99))
	}
	return steps, nil
}

// turns runs the bus once, or in turn with the raw client.
func (f *benchFlags) turns(ctx context.Context, bus bench.Bus, raw rawClient, w bench.Work) (bench.Comparison, error) {
	own := bench.Turn{Name: "bus", Run: func(ctx context.Context) (*bench.Result, error) {
		return profiled(f.profile, func() (*bench.Result, error) { return w.Run(ctx, "bus", bus) })
	}}
	if raw == nil {
		r, err := own.Run(ctx)
		if err != nil {
			return bench.Comparison{}, err
		}
		return bench.Comparison{A: []*bench.Result{r}}, nil
	}
	other := w
	if f.compare == compareRawSync {
		other.Callers = max(other.Callers, 1)
	}
	return bench.Compare(ctx, own, bench.Turn{Name: f.compare, Run: func(ctx context.Context) (*bench.Result, error) {
		return other.Run(ctx, f.compare, raw)
	}}, f.rounds.value)
}

// profiled writes a CPU profile of run; each run writes it anew.
func profiled(file string, run func() (*bench.Result, error)) (*bench.Result, error) {
	if file == "" {
		return run()
	}
	out, err := os.Create(file)
	if err != nil {
		return nil, usagef("--profile: %v", err)
	}
	defer func() { _ = out.Close() }()
	if err := pprof.StartCPUProfile(out); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	defer pprof.StopCPUProfile()
	return run()
}

// rawClient is the client library alone, on the connected broker.
type rawClient interface {
	bench.Client
	Close()
}

func (a *app) rawClient() (rawClient, error) {
	if a.reached.OnKafka {
		return a.rawKafka(a.reached.Kafka)
	}
	return bench.DialRawNATS(a.reached.NATS)
}
