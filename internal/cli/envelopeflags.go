package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// envelopeFlags hold what a publisher says beside the payload.
type envelopeFlags struct {
	topic, producer, source, pk string
	schema, schemaHash, runID   string
	dedupeKey, messageID        string
	headers                     pairs
}

func (f *envelopeFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.topic, "topic", "", "`TOPIC` ampy.{env}.{domain}.{version}.{subtopic}")
	fs.StringVar(&f.producer, "producer", "", "`NAME` of the service instance, service@instance")
	fs.StringVar(&f.source, "source", "", "`NAME` of the upstream system")
	fs.StringVar(&f.pk, "pk", "", "partition `KEY`: messages of one key stay in order")
	fs.StringVar(&f.schema, "schema", "", "payload `TYPE`, such as ampy.bars.v1.BarBatch (else the topic's)")
	fs.StringVar(&f.schemaHash, "schema-hash", "", "`HASH` of the schema")
	fs.StringVar(&f.runID, "run-id", "", "`ID` of the run or session (else cli_ and the date)")
	fs.StringVar(&f.dedupeKey, "dedupe-key", "", "the domain's idempotency `KEY`")
	fs.StringVar(&f.messageID, "message-id", "", "`UUID` to publish under, to repeat a publish whose outcome is unknown")
	fs.Var(&f.headers, "header", "further header; may be given several times")
}

// schemaOrDefault is --schema, or what the topic's domain carries.
func (f *envelopeFlags) schemaOrDefault() (string, error) {
	topic, err := ampybus.ParseTopic(f.topic)
	if err != nil || f.schema != "" {
		return f.schema, err
	}
	policy, _ := ampybus.PolicyFor(topic.Domain)
	schema := policy.SchemaFor(topic.Subtopic)
	if schema == "" {
		return "", usagef("--schema: domain %s has no payload type of its own; name one", topic.Domain)
	}
	return schema, nil
}

// newHeaders are the headers that the flags make without looking at a payload.
func (f *envelopeFlags) newHeaders(schema string) ampybus.Headers {
	h := ampybus.NewHeaders(schema, f.producer, f.source, f.pk)
	f.apply(&h)
	return h
}

// apply sets what was given explicitly: it wins over what was derived.
func (f *envelopeFlags) apply(h *ampybus.Headers) {
	h.SchemaHash = or(f.schemaHash, h.SchemaHash)
	h.RunID = or(or(f.runID, h.RunID), todaysRun())
	h.PartitionKey = or(f.pk, h.PartitionKey)
	h.DedupeKey = or(f.dedupeKey, h.DedupeKey)
	h.MessageID = strings.ToLower(or(f.messageID, h.MessageID))
	h.Extra = append(h.Extra, f.headers...)
}

// todaysRun is the run of messages that people publish by hand.
func todaysRun() string { return "cli_" + time.Now().UTC().Format("20060102") }
