package cli

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
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
	r := &receipts{Observer: logObserver{a.logger}, byID: make(map[string]ampybus.PublishEvent)}
	return &publisher{Bus: a.observed(t, r), receipts: r}, nil
}

// receipts keeps where messages are stored, beside what another observer does.
type receipts struct {
	ampybus.Observer
	mu   sync.Mutex
	byID map[string]ampybus.PublishEvent
}

// Published implements ampybus.Observer.
func (r *receipts) Published(e ampybus.PublishEvent) {
	r.Observer.Published(e)
	if e.Err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[e.MessageID] = e
}

func (r *receipts) of(id string) ampybus.PublishEvent {
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
