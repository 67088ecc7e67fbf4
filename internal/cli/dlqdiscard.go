package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// discardFlags hold what to settle, and why.
type discardFlags struct {
	deadLetterFlags
	account
}

func (a *app) dlqDiscard() *cobra.Command {
	var f discardFlags
	cmd := &cobra.Command{
		Use:   "dlq-discard",
		Short: "Settle dead letters without sending them back; they stay stored as evidence",
		Example: `  ampybusctl dlq-discard --subject "ampy.prod.dlq.v1.bars" \
    --message-id 018f5e35-0f42-7a31-9e77-1c2a9b11d0ef --reason "vendor resent the batch"`,
	}
	f.add(cmd, 1)
	f.addAccount(a, cmd, "")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		if f.id == "" && f.code == "" && f.pk == "" && f.group == "" && f.where == "" {
			return usagef("say which: --message-id, --code, --pk, --group or --where")
		}
		if err := f.check(); err != nil {
			return err
		}
		return a.discard(cmd, &f)
	}, "subject", "reason")
}

func (a *app) discard(cmd *cobra.Command, f *discardFlags) (err error) {
	log, err := f.openAudit(a)
	if err != nil {
		return err
	}
	defer log.close()
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	var found []*ampybus.DeadLetter
	err = f.each(cmd.Context(), a, b, false, func(d *ampybus.DeadLetter) bool {
		found = append(found, d)
		return len(found) < f.max.value
	})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return f.nothing()
	}
	entry := f.entry("discard", f.subject)
	for i := 0; err == nil && i < len(found); i++ {
		d := found[i]
		if err = b.Discard(cmd.Context(), d, ampybus.SettleOptions{Reason: f.reason, Requester: f.requester}); err == nil {
			entry.add(auditedMessage{Origin: d.Origin(), MessageID: d.Headers.MessageID, Outcome: "discarded"})
			a.showDiscarded(d)
		}
	}
	return errors.Join(err, log.write(entry))
}

func (a *app) showDiscarded(d *ampybus.DeadLetter) {
	if a.output == formatJSON {
		_ = a.printJSON(discardDoc{Outcome: "discarded", Origin: d.Origin(), Target: d.Target, MessageID: d.Headers.MessageID, Key: d.Headers.PartitionKey})
		return
	}
	fmt.Fprintf(a.out, "[discard] origin=%s msg_id=%s pk=%s\n", terminal.Field(d.Origin()), terminal.Field(d.Headers.MessageID), terminal.Field(d.Headers.PartitionKey))
}

// discardDoc is a discarded dead letter as JSON.
type discardDoc struct {
	Outcome   string `json:"outcome"`
	Origin    string `json:"origin"`
	Target    string `json:"target"`
	MessageID string `json:"message_id"`
	Key       string `json:"key"`
}
