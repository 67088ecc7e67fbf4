package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

// redriveFlags hold what to send back, and why.
type redriveFlags struct {
	deadLetterFlags
	reason, requester string
	payload           string
	force, dryRun     bool
}

func (a *app) dlqRedrive() *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use:   "dlq-redrive",
		Short: "Send dead letters back to the topics that they came from",
		Long: `Send dead letters back to the topics that they came from, oldest first.

It looks at the dead letters that are open when it starts, each once: one that
fails again is a new dead letter and waits for the next time. What is refused or
cannot be sent stays open (exit 8); where the order of a key matters, its later
dead letters stay with it.`,
		Example: `  ampybusctl dlq-redrive --subject "ampy.prod.dlq.v1.>" --max 5
  ampybusctl dlq-redrive --subject "ampy.prod.dlq.v1.>" --dry-run
  ampybusctl dlq-redrive --subject "ampy.prod.dlq.v1.bars" --message-id 018f5e35-0f42-7a31-9e77-1c2a9b11d0ef --payload fixed.json`,
	}
	f.add(cmd, 100)
	fs := cmd.Flags()
	fs.BoolVar(&f.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	fs.BoolVar(&f.force, "force", false, "send even what was sent back as often as its policy allows")
	fs.StringVar(&f.payload, "payload", "", "`FILE` of a repaired payload for the one dead letter of --message-id: bytes, or protojson if it ends in .json")
	f.addAccount(cmd, "redrive")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		if f.payload != "" && f.id == "" {
			return usagef("--payload: it replaces the payload of one message; name that with --message-id")
		}
		return a.redriveAll(cmd, &f)
	}, "subject")
}

// addAccount adds the flags that are recorded with a settlement.
func (f *redriveFlags) addAccount(cmd *cobra.Command, reason string) {
	cmd.Flags().StringVar(&f.reason, "reason", reason, "why; it is recorded (`TEXT`)")
	cmd.Flags().StringVar(&f.requester, "requester", defaultProducer(cmd.Root().Name()), "who asks: a service or role, not a person; it is recorded (`NAME`)")
}

// defaultProducer names this command on this machine. Only the first label of
// the host's name: with a dot it would look like an e-mail address.
func defaultProducer(program string) string {
	host, err := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	if err != nil || host == "" {
		host = "cli"
	}
	return or(program, "ampybusctl") + "@" + host
}

func (a *app) redriveAll(cmd *cobra.Command, f *redriveFlags) error {
	t, err := a.connect(cmd)
	if err != nil {
		return err
	}
	if f.dryRun {
		t = dryTransport{t}
	}
	b := a.bus(t)
	defer b.Close()
	r := &redrive{app: a, bus: b, flags: f, held: make(map[string]bool)}
	if f.dryRun && a.output == formatTable {
		a.warn("dry run: nothing is sent")
	}
	err = f.each(cmd.Context(), a, b, f.force && f.id != "", func(d *ampybus.DeadLetter) bool {
		return r.one(cmd.Context(), d)
	})
	return r.finish(err)
}

// repaired is the payload of --payload for d.
func (f *redriveFlags) repaired(a *app, d *ampybus.DeadLetter) ([]byte, error) {
	if f.payload == "" {
		return nil, nil
	}
	data, err := readInput(a.in, f.payload, ampybus.MaxPayload)
	if err != nil {
		return nil, usagef("--payload: %w", err)
	}
	if strings.HasSuffix(f.payload, ".json") {
		m, err := protopayload.FromJSON(d.Headers.SchemaFQDN, data)
		if err != nil {
			return nil, fmt.Errorf("--payload: %w", err)
		}
		return protopayload.Canonical(m)
	}
	if _, err := protopayload.Decode(d.Headers.SchemaFQDN, data); err != nil {
		return nil, usagef("--payload: it still does not decode: %w", err)
	}
	return data, nil
}
