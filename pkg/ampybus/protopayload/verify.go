package protopayload

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Verify compares an envelope, its payload as on the wire, with what the payload
// says itself. Lints are differences that are legal: an explicit key always
// wins. Errors are what a consumer would dead-letter: *ampybus.CodecError,
// *ampybus.PoisonError, or ErrBatch. A payload that is kept elsewhere, or whose
// schema is unknown, is not looked at. In a dead letter a payload may be broken:
// that is a lint.
func Verify(e ampybus.Envelope) (lints []string, err error) {
	topic, err := ampybus.ParseTopic(e.Topic)
	if err != nil {
		return nil, err
	}
	dead := topic.Domain == ampybus.DomainDLQ
	if dead {
		topic, _ = ampybus.ParseTopic(e.Headers.DLQ.Topic)
	}
	lints, err = verify(topic, e)
	if err != nil && dead {
		return append(lints, "payload: "+err.Error()), nil
	}
	return lints, err
}

func verify(topic ampybus.Topic, e ampybus.Envelope) (lints []string, err error) {
	h := e.Headers
	if h.BlobRef != "" {
		return []string{"payload: kept in a blob, not checked"}, nil
	}
	payload, err := ampybus.Decompress(h.ContentEncoding, e.Payload, ampybus.InflateLimits{})
	if err != nil {
		return nil, err
	}
	if h.PayloadHash != "" && h.PayloadHash != ampybus.PayloadHash(payload) {
		return nil, &ampybus.PoisonError{Code: ampybus.ReasonPayloadHash, Err: fmt.Errorf("the payload has %s", ampybus.PayloadHash(payload))}
	}
	if len(payload) == 0 {
		return nil, nil
	}
	m, err := decodeAs(h, payload)
	if errors.Is(err, ErrUnknownSchema) {
		return []string{"schema_fqdn: " + err.Error() + ", payload not checked"}, nil
	}
	if err != nil {
		return nil, err
	}
	facts, err := FactsOf(topic, m)
	switch {
	case errors.Is(err, ErrMixedKeys):
		err = nil // the producer has named one
	case errors.Is(err, ErrIncomplete):
		lints = append(lints, err.Error())
		err = nil
	}
	return append(lints, differences(topic, h, facts, m)...), err
}

func decodeAs(h ampybus.Headers, payload []byte) (proto.Message, error) {
	if h.ContentType == ampybus.ContentTypeJSON {
		return FromJSON(h.SchemaFQDN, payload)
	}
	return Decode(h.SchemaFQDN, payload)
}

// differences lists where headers and payload say different things.
func differences(topic ampybus.Topic, h ampybus.Headers, facts Facts, m proto.Message) []string {
	var lints []string
	for _, lint := range facts.Lints {
		lints = append(lints, "payload: "+lint)
	}
	differ := func(name, header, payload string) {
		if header != "" && payload != "" && header != payload {
			lints = append(lints, fmt.Sprintf("%s: the payload's is %s", name, payload))
		}
	}
	if lint, _ := (SchemaGuard{Mode: Warn}).Check(h); lint != "" {
		lints = append(lints, lint)
	}
	if h.PartitionKey != facts.CoarseKey {
		differ(ampybus.HeaderPartitionKey, h.PartitionKey, facts.Key)
	}
	differ(ampybus.HeaderTopic+": subtopic", topic.Subtopic, facts.Subtopic)
	differ(ampybus.HeaderDedupeKey, h.DedupeKey, facts.DedupeKey)
	differ(ampybus.HeaderRunID, h.RunID, metaOf(m).GetRunId())
	differ(ampybus.HeaderSource, h.Source, metaOf(m).GetSource())
	return lints
}
