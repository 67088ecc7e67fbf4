package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/bridge"
)

// verifyFlags hold what to compare.
type verifyFlags struct {
	ends       bridgeEnds
	start, end instant
	carried    bool
	examples   number
}

func (a *app) bridgeVerify() *cobra.Command {
	f := verifyFlags{examples: number{value: 10, min: 1, max: 100_000}}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare what two brokers hold, message by message",
		Long: `Compare what two brokers hold: each message by topic, key, headers (but for the
bridge's own) and payload bytes, and the order of each key. It leaves no trace on
either. Exit 3 when they differ: a message is missing on the target, extra there,
changed, or behind a later one of its key. A second copy of what was carried twice
is counted and is no difference.

Compare while nothing is published, or a window that has ended: --start and --end
are times at which the source stored. --carried leaves out what either side holds
for itself, while producers already write to the target.`,
		Example: `  ampybusctl bridge verify --from nats://127.0.0.1:4222 --to kafka://127.0.0.1:9092 --env prod
  ampybusctl bridge verify --from nats://127.0.0.1:4222 --to kafka://127.0.0.1:9092 --pattern "ampy.prod.orders.v1.>" \
    --start 2025-01-01T00:00:00Z --end 2025-01-02T00:00:00Z --carried -o json`,
	}
	f.ends.add(a, cmd)
	fs := cmd.Flags()
	fs.Var(&f.start, "start", "begin of the window, with its zone: 2025-01-01T09:30:00Z")
	fs.Var(&f.end, "end", "end of the window, which does not belong to it")
	fs.BoolVar(&f.carried, "carried", false, "compare only what the bridge carries")
	fs.Var(&f.examples, "examples", "how many differences of each kind to show")
	a.outputFlag(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error { return a.verifyBridge(cmd, &f) }, "from", "to")
}

func (a *app) verifyBridge(cmd *cobra.Command, f *verifyFlags) (err error) {
	c := bridge.VerifyConfig{
		FromName: f.ends.from.name, ToName: f.ends.to.name, Start: f.start.Time, End: f.end.Time,
		Carried: f.carried, Examples: f.examples.value,
	}
	if !c.Start.IsZero() && !c.End.IsZero() && !c.Start.Before(c.End) {
		return usagef("--end: it is not after --start; the window is [start, end)")
	}
	if c.Pattern, c.Exclude, err = f.ends.selection(); err != nil {
		return err
	}
	if c.From, c.To, err = f.ends.connect(a, cmd); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.From.Close(cmd.Context()), c.To.Close(cmd.Context())) }()
	r, err := bridge.Verify(cmd.Context(), c)
	if err != nil {
		return err
	}
	if err := a.showVerification(r); err != nil {
		return err
	}
	if !r.Equal() {
		return exitf(ExitCheck, "the sides differ: %s", r)
	}
	return nil
}

// verifyDoc is a comparison as JSON.
type verifyDoc struct {
	OK        bool            `json:"ok"`
	From      uint64          `json:"from"`
	To        uint64          `json:"to"`
	Same      uint64          `json:"same"`
	Missing   uint64          `json:"missing"`
	Extra     uint64          `json:"extra"`
	Changed   uint64          `json:"changed"`
	Reordered uint64          `json:"reordered"`
	Repeated  uint64          `json:"repeated"`
	Gone      uint64          `json:"gone"`
	Later     uint64          `json:"later"`
	Own       uint64          `json:"own"`
	Examples  []differenceDoc `json:"examples"`
}

type differenceDoc struct {
	Kind      string `json:"kind"`
	Topic     string `json:"topic"`
	Key       string `json:"key"`
	MessageID string `json:"message_id,omitempty"`
	From      string `json:"from,omitempty"`
	To        string `json:"to,omitempty"`
	What      string `json:"what,omitempty"`
}

func (a *app) showVerification(r *bridge.Report) error {
	n := r.Count
	d := verifyDoc{
		OK: r.Equal(), From: r.From, To: r.To, Same: r.Same,
		Missing: n[bridge.Missing], Extra: n[bridge.Extra], Changed: n[bridge.Changed], Reordered: n[bridge.Reordered],
		Repeated: r.Repeated, Gone: r.Gone, Later: r.Later, Own: r.Own, Examples: []differenceDoc{},
	}
	for _, x := range r.Examples {
		d.Examples = append(d.Examples, differenceDoc{string(x.Kind), x.Topic, x.Key, x.MessageID, x.From, x.To, x.What})
	}
	if a.output == formatJSON {
		return a.printJSON(d)
	}
	if len(d.Examples) > 0 {
		rows := make([][]string, 0, len(d.Examples))
		for _, x := range d.Examples {
			rows = append(rows, []string{x.Kind, terminal.Field(x.Topic), terminal.Field(x.Key), or(x.MessageID, "-"), or(x.From, "-"), or(x.To, "-"), or(x.What, "-")})
		}
		printTable(a.out, []string{"DIFFERENCE", "TOPIC", "KEY", "MESSAGE", "SOURCE", "TARGET", "WHAT"}, rows)
	}
	_, err := fmt.Fprintf(a.out, "compared: %d on the source, %d on the target\nsame: %d\n%s\nrepeated: %d, gone on the source: %d, came later: %d, the target's own: %d\n",
		d.From, d.To, d.Same, r, d.Repeated, d.Gone, d.Later, d.Own)
	return err
}
