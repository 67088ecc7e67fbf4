package protopayload

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Draft is an envelope to be: a payload and what it does not say itself.
type Draft struct {
	// Topic is the full topic; TopicOf derives it.
	Topic   string
	Message proto.Message
	// Producer is the service instance: yfinance-go@ingest-1.
	Producer string
	// Source and RunID are, when empty, those of the payload's own meta.
	Source, RunID string
	// PartitionKey and DedupeKey win over what the payload says.
	PartitionKey, DedupeKey string
}

// Envelope makes a complete envelope of a payload: canonical bytes, keys derived
// from the payload, schema name and hash, a new message id, the time now.
// Validate still decides whether it may be published. Errors are those of Check,
// FactsOf and Canonical, and a *ampybus.FieldError for the topic.
func Envelope(topic string, m proto.Message, producer, source string) (ampybus.Envelope, error) {
	return Draft{Topic: topic, Message: m, Producer: producer, Source: source}.Envelope()
}

// Envelope is the function Envelope, for a producer with more to say.
func (d Draft) Envelope() (ampybus.Envelope, error) {
	h, err := d.headers()
	if err != nil {
		return ampybus.Envelope{}, fmt.Errorf("make envelope of %s: %w", FQDN(d.Message), err)
	}
	payload, err := Canonical(d.Message)
	if err != nil {
		return ampybus.Envelope{}, err
	}
	return ampybus.Envelope{Topic: d.Topic, Headers: h, Payload: payload}, nil
}

func (d Draft) headers() (ampybus.Headers, error) {
	topic, err := ampybus.ParseTopic(d.Topic)
	if err != nil {
		return ampybus.Headers{}, err
	}
	if err := Check(d.Message); err != nil {
		return ampybus.Headers{}, err
	}
	facts, err := FactsOf(topic, d.Message)
	if err != nil && !(d.PartitionKey != "" && keyOnly(err)) {
		return ampybus.Headers{}, err
	}
	hash, err := SchemaHash(FQDN(d.Message))
	if err != nil {
		return ampybus.Headers{}, err
	}
	meta := metaOf(d.Message)
	h := ampybus.NewHeaders(FQDN(d.Message), d.Producer, or(d.Source, meta.GetSource()), or(d.PartitionKey, facts.Key))
	h.RunID = or(d.RunID, meta.GetRunId())
	h.DedupeKey = or(d.DedupeKey, facts.DedupeKey)
	h.SchemaHash = hash
	return h, nil
}

// keyOnly: err says no more than that a key cannot be derived.
func keyOnly(err error) bool {
	return errors.Is(err, ErrMixedKeys) || errors.Is(err, ErrIncomplete)
}

// TopicOf is the topic that a payload belongs on: its domain and major version
// from the type's name, its subtopic from its fields. The error wraps
// ErrIncomplete where only the producer knows the subtopic: news and metrics.
func TopicOf(env string, m proto.Message) (ampybus.Topic, error) {
	facts, err := FactsOf(ampybus.Topic{}, m)
	if facts.Subtopic == "" {
		if err == nil {
			err = fmt.Errorf("%w: it does not name the subtopic", ErrIncomplete)
		}
		return ampybus.Topic{}, fmt.Errorf("derive topic of %s: %w", FQDN(m), err)
	}
	parts := strings.Split(FQDN(m), ".")
	return ampybus.Topic{Env: env, Domain: parts[1], Version: parts[2], Subtopic: facts.Subtopic}, nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
