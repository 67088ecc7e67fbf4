package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
)

// What a benchmark measures.
const (
	modePublish  = "publish"
	modeConsume  = "consume"
	modeRead     = "read"
	modeEndToEnd = "end-to-end"

	compareRaw     = "raw"
	compareRawSync = "raw-sync"
)

// benchModes explains them, for help texts.
const benchModes = `--mode publish hands over messages as fast as it can, at a --rate, or from so
many --callers that each wait for the broker's word. --mode consume stores the
messages first, and measures a new durable group from its first message to its
last; --mode read does so without a group. --mode end-to-end publishes at a
--rate and measures until the handler has the message. Latency at a rate counts
from when a message was due, however late it was sent.`

// maxCallers is more than any machine keeps busy.
const maxCallers = 10_000

// compareFlags hold a load, what is measured and what to compare the bus with.
type compareFlags struct {
	benchFlags
	mode    string
	compare string
	profile string
	rounds  number
	callers number
}

func (f *compareFlags) add(cmd *cobra.Command, topicFlag string) {
	f.benchFlags.add(cmd, topicFlag)
	f.rounds = number{value: 2, min: 1, max: 100}
	f.callers = number{min: 1, max: maxCallers}
	fs := cmd.Flags()
	fs.StringVar(&f.mode, "mode", modePublish, "`publish`, consume, read or end-to-end")
	fs.StringVar(&f.compare, "compare", "", "compare with `raw` or raw-sync, the client library alone")
	fs.Var(&f.rounds, "rounds", "runs of each side of a comparison")
	fs.Var(&f.callers, "callers", "goroutines that publish and wait; else nobody waits")
	fs.StringVar(&f.profile, "profile", "", "`FILE` for a CPU profile of the bus's last run")
}

func (f *compareFlags) check() error {
	switch {
	case f.compare != "" && f.compare != compareRaw && f.compare != compareRawSync:
		return usagef("--compare: %s is neither raw nor raw-sync", terminal.Field(f.compare))
	case !slices.Contains([]string{modePublish, modeConsume, modeRead, modeEndToEnd}, f.mode):
		return usagef("--mode: %s is not publish, consume, read or end-to-end", terminal.Field(f.mode))
	case f.mode != modePublish && (f.callers.value > 0 || f.compare == compareRawSync):
		return usagef("--callers and raw-sync: only with --mode publish")
	case f.mode == modeEndToEnd && f.rate.value == 0:
		return usagef("--rate: --mode end-to-end needs one")
	case (f.mode == modeConsume || f.mode == modeRead) && f.rate.value > 0:
		return usagef("--rate: not with --mode %s, which reads what is stored", strings.TrimSpace(f.mode))
	}
	return nil
}
