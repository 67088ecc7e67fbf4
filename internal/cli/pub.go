package cli

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

// payloadFlags hold where a payload comes from.
type payloadFlags struct {
	json, file, hex string
	binary          bool
}

func (f *payloadFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.json, "json", "", "payload as protojson `TEXT`")
	fs.StringVar(&f.file, "file", "", "payload from a `FILE`, - for stdin: protojson, or bytes with --binary")
	fs.BoolVar(&f.binary, "binary", false, "the file or stdin holds the payload's bytes, published as they are")
	fs.StringVar(&f.hex, "hex", "", "payload as `DIGITS`: bytes, published as they are, whether they decode or not")
}

// read returns the payload as protojson, or as bytes.
func (f *payloadFlags) read(a *app) (json, raw []byte, err error) {
	given := 0
	for _, s := range []string{f.json, f.file, f.hex} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, nil, usagef("--json, --file, --hex: give one of them")
	case f.json != "":
		return []byte(f.json), nil, nil
	case f.hex != "":
		raw, err = hex.DecodeString(strings.ReplaceAll(f.hex, " ", ""))
		if err != nil {
			return nil, nil, usagef("--hex: %w; write two digits for each byte", err)
		}
		return nil, raw, nil
	case given == 0 && a.typed:
		return nil, nil, usagef("no payload: give --json, --file or --hex, pipe one in, or use pub-empty")
	}
	data, err := readInput(a.in, or(f.file, "-"), ampybus.MaxPayload)
	if err != nil {
		return nil, nil, usagef("--file: %w", err)
	}
	if f.binary {
		return nil, data, nil
	}
	return data, nil, nil
}

func (a *app) pub() *cobra.Command {
	var (
		f       envelopeFlags
		payload payloadFlags
		dry     bool
	)
	cmd := &cobra.Command{
		Use:   "pub",
		Short: "Publish a payload; its keys and headers are derived from it",
		Example: `  ampybusctl pub --topic ampy.dev.fx.v1.rates --producer me@cli --source test \
    --json '{"pair":{"base":"USD","quote":"JPY"},"mid":{"scaled":"1480512","scale":4},"as_of":"2025-09-05T19:30:00Z"}'
  ampybusctl pub --topic ampy.dev.bars.v1.XNAS.AAPL --producer me@cli --source test --file bars.json
  ampybusctl pub --topic ampy.dev.bars.v1.XNAS.AAPL --producer me@cli --source test --pk XNAS.AAPL --hex ffff`,
	}
	f.add(cmd)
	payload.add(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the envelope and publish nothing")
	a.outputFlag(cmd)
	a.connectionFlags(cmd)
	return a.command(cmd, func(cmd *cobra.Command) error {
		e, err := a.draft(&f, &payload)
		if err != nil {
			return err
		}
		if dry {
			return a.printEnvelope(e)
		}
		return a.publishOne(cmd, e)
	}, "topic", "producer", "source")
}

// draft makes an envelope of the flags.
func (a *app) draft(f *envelopeFlags, payload *payloadFlags) (ampybus.Envelope, error) {
	schema, err := f.schemaOrDefault()
	if err != nil {
		return ampybus.Envelope{}, err
	}
	json, raw, err := payload.read(a)
	if err != nil {
		return ampybus.Envelope{}, err
	}
	if json == nil {
		return a.rawEnvelope(f, schema, raw)
	}
	return jsonEnvelope(f, schema, json)
}

func jsonEnvelope(f *envelopeFlags, schema string, json []byte) (ampybus.Envelope, error) {
	m, err := protopayload.FromJSON(schema, json)
	if err != nil {
		return ampybus.Envelope{}, explainPayload(schema, err)
	}
	e, err := protopayload.Draft{
		Topic: f.topic, Message: m, Producer: f.producer, Source: f.source,
		RunID: f.runID, PartitionKey: f.pk, DedupeKey: f.dedupeKey,
	}.Envelope()
	if err != nil {
		return e, explainPayload(schema, err)
	}
	f.apply(&e.Headers)
	return e, nil
}

// rawEnvelope carries bytes as they are. Where they decode, keys are derived.
func (a *app) rawEnvelope(f *envelopeFlags, schema string, raw []byte) (ampybus.Envelope, error) {
	e := ampybus.Envelope{Topic: f.topic, Headers: f.newHeaders(schema), Payload: raw}
	m, err := protopayload.Decode(schema, raw)
	if err != nil {
		a.warn("the payload is no %s (%v): consumers that decode it make it a dead letter", schema, err)
	} else {
		topic, _ := ampybus.ParseTopic(f.topic)
		if facts, err := protopayload.FactsOf(topic, m); err == nil {
			e.Headers.PartitionKey = or(f.pk, facts.Key)
			e.Headers.DedupeKey = or(f.dedupeKey, facts.DedupeKey)
		}
	}
	if e.Headers.PartitionKey == "" {
		return e, usagef("--pk: no key can be derived from this payload; name one")
	}
	return e, nil
}

// explainPayload says which flag helps where a payload does not suffice.
func explainPayload(schema string, err error) error {
	switch {
	case errors.Is(err, protopayload.ErrUnknownSchema):
		return usagef("--schema: %w; the types are listed in the documentation of the contract", err)
	case errors.Is(err, protopayload.ErrIncomplete), errors.Is(err, protopayload.ErrMixedKeys):
		return usagef("--pk: %w; complete the payload, or name the key with --pk", err)
	case errors.Is(err, protopayload.ErrBatch):
		return usagef("%w: publish the %s in several messages", err, schema)
	}
	return err
}
