package cli

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/bench"
)

// benchmark measures the bus as its flags say, alone or in turn with the raw
// client.
func (a *app) benchmark(cmd *cobra.Command, f *compareFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	load, err := f.load()
	if err != nil {
		return err
	}
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	a.sayKafkaTopic(load.Topic)
	run, err := a.prepareBench(cmd.Context(), f, bench.Bus{Bus: b}, load)
	if err != nil {
		return err
	}
	bus := bench.Turn{Name: "bus", Run: func(ctx context.Context) (*bench.Result, error) {
		return profiled(f.profile, func() (*bench.Result, error) { return run(ctx, "bus", bench.Bus{Bus: b}, f.callers.value) })
	}}
	if f.compare == "" {
		r, err := bus.Run(cmd.Context())
		if err != nil {
			return err
		}
		if err := a.showBench(r); err != nil {
			return err
		}
		return benchVerdict(cmd.Context(), r)
	}
	return a.compareBench(cmd, f, bus, run)
}

// A benchRun is one run of one side; no callers: nobody waits.
type benchRun func(ctx context.Context, name string, c bench.Client, callers int) (*bench.Result, error)

// prepareBench stores what is to be read, and returns the run of a mode.
func (a *app) prepareBench(ctx context.Context, f *compareFlags, bus bench.Bus, load bench.Load) (benchRun, error) {
	switch f.mode {
	case modeEndToEnd:
		return func(ctx context.Context, name string, c bench.Client, _ int) (*bench.Result, error) {
			return bench.RunEndToEnd(ctx, name, c, load)
		}, nil
	case modeConsume, modeRead:
		from := time.Now()
		if r, err := bench.Run(ctx, "bus", bus, load); err != nil || r.Published < load.Count {
			return nil, fmt.Errorf("store what is to be read: %w", firstError(err, benchVerdict(ctx, r)))
		}
		receive := bench.RunConsume
		if f.mode == modeRead {
			receive = bench.RunRead
		}
		return func(ctx context.Context, name string, c bench.Client, _ int) (*bench.Result, error) {
			return receive(ctx, name, c, load, from)
		}, nil
	}
	return func(ctx context.Context, name string, c bench.Client, callers int) (*bench.Result, error) {
		if callers > 0 {
			return bench.RunCallers(ctx, name, c, load, callers)
		}
		return bench.Run(ctx, name, c, load)
	}, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// compareBench takes turns with the raw client.
func (a *app) compareBench(cmd *cobra.Command, f *compareFlags, bus bench.Turn, run benchRun) error {
	raw, err := a.rawClient()
	if err != nil {
		return err
	}
	defer raw.Close()
	callers := f.callers.value
	if f.compare == compareRawSync {
		callers = max(callers, 1)
	}
	other := bench.Turn{Name: f.compare, Run: func(ctx context.Context) (*bench.Result, error) {
		return run(ctx, f.compare, raw, callers)
	}}
	c, err := bench.Compare(cmd.Context(), bus, other, f.rounds.value)
	if err != nil && cmd.Context().Err() == nil {
		return err
	}
	if err := a.showComparison(c); err != nil {
		return err
	}
	return benchVerdict(cmd.Context(), append(c.A, c.B...)...)
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
		fmt.Fprintf(a.out, "%s: %s\n%s: %s\n", r.Name, r.Summary(), r.Name, r.Costs())
	}
	fmt.Fprintln(a.out, c)
	return nil
}
