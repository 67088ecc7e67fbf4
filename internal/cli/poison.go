package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// poisonBytes are neither a protobuf message nor gzip.
const poisonBytes = "\xff\xff\xff\xff poison"

// The kinds of poison.
const (
	poisonEncoding = "encoding"
	poisonPayload  = "payload"
)

func (a *app) poison() *cobra.Command {
	var (
		f    envelopeFlags
		kind string
	)
	cmd := &cobra.Command{
		Use:   "kafkapoison",
		Short: "Send a message that no consumer can read, to see it become a dead letter",
		Long: `Send a message that no consumer can read, to see it become a dead letter.

With --kind encoding it claims to be compressed and is not: every consumer of the
bus makes it a dead letter. With --kind payload its bytes are no message of its
type: consumers that decode payloads make it one.

It does so on every try: redriving it makes another dead letter, until its
payload is repaired (ampybusctl dlq edit).`,
		Example: `  kafkapoison --brokers 127.0.0.1:9092 \
    --topic ampy.prod.bars.v1.XNAS.AAPL \
    --producer poison@cli --source poison-test --pk XNAS.AAPL`,
	}
	f.add(cmd)
	cmd.Flags().StringVar(&kind, "kind", poisonEncoding, "what is wrong: `encoding` or payload")
	complete(cmd, "kind", poisonEncoding, poisonPayload)
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		if kind != poisonEncoding && kind != poisonPayload {
			return usagef("--kind: %s is not encoding or payload", terminal.Field(kind))
		}
		return a.sendPoison(cmd, &f, kind)
	}, "topic", "producer", "source", "pk")
}

func (a *app) sendPoison(cmd *cobra.Command, f *envelopeFlags, kind string) error {
	schema, err := f.schemaOrDefault()
	if err != nil {
		return err
	}
	e := ampybus.Envelope{Topic: f.topic, Headers: f.newHeaders(schema), Payload: []byte(poisonBytes)}
	if err := e.Validate(); err != nil {
		return err
	}
	if kind == poisonEncoding {
		e.Headers.ContentEncoding = "gzip"
	}
	b, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer b.Close()
	a.sayKafkaTopic(f.topic)
	// Publish would compress the payload; only bytes that go out as they are
	// can be wrong.
	origin, err := b.Forward(cmd.Context(), ampybus.Forward{Topic: e.Topic, Headers: e.Headers, Wire: e.Payload, ID: e.Headers.MessageID})
	if err != nil {
		return a.explainPublish(e, err)
	}
	return a.showPoison(poisonDoc{Origin: origin, Topic: e.Topic, MessageID: e.Headers.MessageID, Kind: kind})
}

// poisonDoc is a poison message as JSON.
type poisonDoc struct {
	Origin    string `json:"origin"`
	Topic     string `json:"topic"`
	MessageID string `json:"message_id"`
	Kind      string `json:"kind"`
}

func (a *app) showPoison(d poisonDoc) error {
	if a.output == formatJSON {
		return a.printJSON(d)
	}
	fmt.Fprintf(a.out, "[poison] stored origin=%s topic=%s msg_id=%s kind=%s\n",
		terminal.Field(d.Origin), terminal.Field(d.Topic), terminal.Field(d.MessageID), d.Kind)
	return nil
}
