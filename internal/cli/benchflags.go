package cli

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/internal/terminal"
)

const (
	// maxCallers is more than any machine keeps busy.
	maxCallers = 10_000
	// maxBenchBatch is more than the bus keeps unsettled.
	maxBenchBatch = 10_000
)

// benchFlags hold a load, what is measured, what to compare the bus with and
// what to judge it by.
type benchFlags struct {
	loadFlags
	mode           string
	compare        string
	profile, plot  string
	rounds         number
	callers, batch number
	rates          rates
	span           time.Duration
	slo            bool
	sloP99         time.Duration
	countGiven     bool
	objective      time.Duration // zero: nothing to judge by
}

const (
	compareRaw     = "raw"
	compareRawSync = "raw-sync"
)

// benchModes explains the modes, for help texts.
const benchModes = `--mode publish hands over messages as fast as it can, at a --rate, or from so
many --callers that each wait for the broker's word; with --batch they hand over
so many messages at once and wait for all. --mode consume stores the messages
first, and measures a new durable group from its first message to its last;
--mode read does so without a group. --mode end-to-end publishes at a --rate and
measures until the handler has the message. Latency at a rate counts from when a
message was due, however late it was sent.

--rates measures several rates, one after the other, and --plot draws the
latencies over them. --slo judges publish to first delivery by the
specification's targets (orders, signals and fills: p99 within 50ms; bars and
ticks: within 150ms; payloads below 1 MiB) or by a target of your own, and exits
with 3 if one is missed.`

func (f *benchFlags) add(cmd *cobra.Command, topicFlag string) {
	f.loadFlags.add(cmd, topicFlag)
	f.rounds = number{value: 2, min: 1, max: 100}
	f.callers = number{min: 1, max: maxCallers}
	f.batch = number{min: 1, max: maxBenchBatch}
	fs := cmd.Flags()
	fs.Var(&f.rates, "rates", "several rates to measure, such as 500,1000,5000")
	fs.Var(wait{&f.span}, "for", "publish so long at each rate, instead of a --count")
	fs.StringVar(&f.mode, "mode", string(bench.Publish), "`publish`, consume, read or end-to-end")
	fs.Var(&f.callers, "callers", "goroutines that publish and wait; else nobody waits")
	fs.Var(&f.batch, "batch", "messages that a caller publishes at once")
	fs.StringVar(&f.compare, "compare", "", "compare with `raw` or raw-sync, the client library alone")
	fs.Var(&f.rounds, "rounds", "runs of each side of a comparison")
	fs.BoolVar(&f.slo, "slo", false, "judge latency and payload by the specification's targets")
	fs.Var(wait{&f.sloP99}, "slo-p99", "judge by this latency instead")
	fs.StringVar(&f.plot, "plot", "", "`FILE` for an SVG of the latencies by --rates")
	fs.StringVar(&f.profile, "profile", "", "`FILE` for a CPU profile of the bus's last run")
	complete(cmd, "mode", benchModeNames()...)
	complete(cmd, "compare", compareRaw, compareRawSync)
}

func benchModeNames() []string {
	return []string{string(bench.Publish), string(bench.Consume), string(bench.Read), string(bench.EndToEnd)}
}

// check refuses flags that do not go together.
func (f *benchFlags) check() error {
	switch mode := bench.Mode(f.mode); {
	case f.compare != "" && f.compare != compareRaw && f.compare != compareRawSync:
		return usagef("--compare: %s is neither raw nor raw-sync", terminal.Field(f.compare))
	case !slices.Contains(benchModeNames(), f.mode):
		return usagef("--mode: %s is not publish, consume, read or end-to-end", terminal.Field(f.mode))
	case mode != bench.Publish && (f.callers.value > 0 || f.batch.value > 0 || f.compare == compareRawSync):
		return usagef("--callers, --batch and raw-sync: only with --mode publish")
	case f.batch.value > 0 && f.compare == compareRawSync:
		return usagef("--batch: compare with raw, which sends batches too")
	case f.rate.value > 0 && len(f.rates) > 0:
		return usagef("--rate or --rates, not both")
	case mode == bench.EndToEnd && !f.paced():
		return usagef("--rate: --mode end-to-end needs one")
	case (mode == bench.Consume || mode == bench.Read) && f.paced():
		return usagef("--rate: not with --mode %s, which reads what is stored", f.mode)
	case f.span > 0 && (!f.paced() || f.countGiven):
		return usagef("--for: needs a --rate, and no --count")
	case f.plot != "" && len(f.rates) == 0:
		return usagef("--plot: needs --rates to draw")
	}
	return f.checkObjective()
}

// checkObjective finds what to judge by.
func (f *benchFlags) checkObjective() error {
	if !f.slo && f.sloP99 == 0 {
		return nil
	}
	if bench.Mode(f.mode) != bench.EndToEnd {
		return usagef("--slo: needs --mode end-to-end, which measures publish to first delivery")
	}
	f.objective = f.sloP99
	if f.objective == 0 {
		f.objective = bench.LatencyTarget(f.topic)
	}
	if f.objective == 0 {
		return usagef("--slo: the specification has no latency for this domain; set --slo-p99")
	}
	return nil
}

func (f *benchFlags) paced() bool { return f.rate.value > 0 || len(f.rates) > 0 }
