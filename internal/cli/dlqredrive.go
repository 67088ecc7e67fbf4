package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/redrive"
)

// redriveFlags hold what to send back, and why.
type redriveFlags struct {
	deadLetterFlags
	reason, requester string
	payload, where    string
	rate              number
	force, dryRun     bool
}

func (a *app) dlqRedrive() *cobra.Command {
	f := redriveFlags{rate: number{min: 1, max: 1_000_000}}
	cmd := &cobra.Command{
		Use:   "dlq-redrive",
		Short: "Send dead letters back to the topics that they came from",
		Long: `Send dead letters back to the topics that they came from, oldest first.

It looks at the dead letters that are open when it starts, each once: one that
fails again is a new dead letter and waits for the next time. What is refused or
cannot be sent stays open, and so do the later dead letters of its key (exit 8).
--max counts what is sent.`,
		Example: `  ampybusctl dlq-redrive --subject "ampy.prod.dlq.v1.>" --max 5
  ampybusctl dlq-redrive --subject "ampy.prod.dlq.v1.>" --dry-run
  ampybusctl dlq-redrive --subject "ampy.prod.dlq.v1.bars" --message-id 018f5e35-0f42-7a31-9e77-1c2a9b11d0ef --payload fixed.json`,
	}
	f.add(cmd, 100)
	fs := cmd.Flags()
	fs.BoolVar(&f.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	fs.StringVar(&f.where, "where", "", "those for which a `CONDITION` holds, such as 'retry_count < 2 && size > 1000'")
	fs.Var(&f.rate, "rate", "send at most so many a second")
	fs.BoolVar(&f.force, "force", false, "send even what was sent back as often as its policy allows")
	fs.StringVar(&f.payload, "payload", "", "`FILE` of a repaired payload for the one dead letter of --message-id: bytes, or protojson if it ends in .json")
	f.addAccount(cmd, "redriven by hand")
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
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	r := &redriveRun{app: a, bus: b, flags: f}
	p, err := r.plan(cmd.Context())
	if err != nil {
		return err
	}
	return r.apply(cmd.Context(), p)
}

// filter says which dead letters are meant.
func (f *redriveFlags) filter() redrive.Filter {
	filter := redrive.Filter{Since: f.from.at, Where: f.where}
	for _, one := range []struct {
		value string
		globs *[]string
	}{{f.code, &filter.Reasons}, {f.pk, &filter.Keys}, {f.group, &filter.Groups}} {
		if one.value != "" {
			*one.globs = []string{one.value}
		}
	}
	if f.id != "" {
		filter.Where = strings.TrimPrefix(filter.Where+" && ", " && ") + "message_id == " + strconv.Quote(f.id)
	}
	return filter
}

func (f *redriveFlags) options() redrive.Options {
	return redrive.Options{
		Reason: f.reason, Requester: f.requester, Rate: float64(f.rate.value), Force: f.force, DryRun: f.dryRun,
	}
}

// repaired is the payload of --payload, for the dead letter of the plan.
func (f *redriveFlags) repaired(ctx context.Context, a *app, b *ampybus.Bus, p *redrive.Plan) (map[string][]byte, error) {
	if f.payload == "" {
		return nil, nil
	}
	if len(p.Entries) != 1 {
		return nil, usagef("--payload: %d dead letters have this message id; narrow them with --group or --since", len(p.Entries))
	}
	data, err := readInput(a.in, f.payload, ampybus.MaxPayload)
	if err != nil {
		return nil, usagef("--payload: %w", err)
	}
	schema, err := schemaAt(ctx, b, p)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(f.payload, ".json") {
		m, err := protopayload.FromJSON(schema, data)
		if err != nil {
			return nil, fmt.Errorf("--payload: %w", err)
		}
		data, err = protopayload.Canonical(m)
		return map[string][]byte{p.Entries[0].Origin: data}, err
	}
	if _, err := protopayload.Decode(schema, data); err != nil {
		return nil, usagef("--payload: it still does not decode: %w", err)
	}
	return map[string][]byte{p.Entries[0].Origin: data}, nil
}

// schemaAt is the payload type of the plan's only dead letter.
func schemaAt(ctx context.Context, b *ampybus.Bus, p *redrive.Plan) (string, error) {
	for d, err := range b.DeadLetters(ctx, ampybus.Range{Pattern: p.Pattern}) {
		if d == nil && !isGap(err) {
			return "", err
		}
		if d != nil && d.Origin() == p.Entries[0].Origin {
			return d.Headers.SchemaFQDN, nil
		}
	}
	return "", fmt.Errorf("dead letter %s is gone", p.Entries[0].Origin)
}
