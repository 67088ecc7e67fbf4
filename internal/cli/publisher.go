package cli

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// publisher is a bus that remembers where the broker stored each message.
type publisher struct {
	*ampybus.Bus
	receipts *receipts
}

// publisher connects for publishing.
func (a *app) publisher(cmd *cobra.Command) (*publisher, error) {
	t, err := a.connect(cmd)
	if err != nil {
		return nil, err
	}
	r := &receipts{Transport: t, byID: make(map[string]driver.Outcome)}
	return &publisher{Bus: a.bus(r), receipts: r}, nil
}

// receipts notes the broker's acknowledgements on their way to the bus.
type receipts struct {
	driver.Transport
	mu   sync.Mutex
	byID map[string]driver.Outcome
}

// Publish implements driver.Transport.
func (r *receipts) Publish(recs []driver.Record, settle func(i int, o driver.Outcome)) {
	r.Transport.Publish(recs, func(i int, o driver.Outcome) {
		if o.Err == nil {
			r.mu.Lock()
			r.byID[recs[i].ID] = o
			r.mu.Unlock()
		}
		settle(i, o)
	})
}

func (r *receipts) of(id string) driver.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

// ackDoc is an acknowledgement as JSON.
type ackDoc struct {
	Stream    string `json:"stream"`
	Seq       uint64 `json:"seq"`
	Topic     string `json:"topic"`
	MessageID string `json:"message_id"`
	Schema    string `json:"schema_fqdn"`
	Key       string `json:"partition_key"`
	DedupeKey string `json:"dedupe_key,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// publish stores e, says where, and remarks on what is legal but odd.
func (a *app) publish(ctx context.Context, p *publisher, e ampybus.Envelope) error {
	for _, lint := range e.Lint() {
		a.warn("%s", lint)
	}
	if err := p.Publish(ctx, e.Topic, e.Headers, e.Payload); err != nil {
		return a.explainPublish(e, err)
	}
	o := p.receipts.of(e.Headers.MessageID)
	ack := ackDoc{
		Stream: o.Log, Seq: o.Pos, Topic: e.Topic, MessageID: e.Headers.MessageID,
		Schema: e.Headers.SchemaFQDN, Key: e.Headers.PartitionKey,
		DedupeKey: e.Headers.DedupeKey, Duplicate: o.Duplicate,
	}
	if a.output == formatJSON {
		return a.printJSON(ack)
	}
	line := fmt.Sprintf("[publish] ack stream=%s seq=%s topic=%s msg_id=%s schema=%s",
		terminal.Field(ack.Stream), strconv.FormatUint(ack.Seq, 10), terminal.Field(ack.Topic),
		terminal.Field(ack.MessageID), terminal.Field(ack.Schema))
	if ack.Duplicate {
		line += " duplicate=true"
	}
	fmt.Fprintln(a.out, line)
	return nil
}

// explainPublish adds what to do after an outcome that nobody knows.
func (a *app) explainPublish(e ampybus.Envelope, err error) error {
	if exitCode(err) != ExitTimeout {
		return err
	}
	return fmt.Errorf("%w; it may be stored: publish it again with --message-id %s, and one copy is stored", err, e.Headers.MessageID)
}
