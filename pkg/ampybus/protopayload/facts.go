package protopayload

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

var (
	// ErrBatch: these records may not travel in one message.
	ErrBatch = errors.New("batch breaks the domain's rule")
	// ErrMixedKeys: the records have several keys; the domain allows that if the
	// producer names the partition key itself.
	ErrMixedKeys = errors.New("batch has several keys: name the partition key")
	// ErrIncomplete: the payload lacks a field that a key is made of.
	ErrIncomplete = errors.New("payload is incomplete")
)

// Facts are what a payload says about its own envelope. What it does not say is
// empty.
type Facts struct {
	// Subtopic is where the payload belongs. Empty for news (raw or nlp) and
	// metrics (the service): only the producer knows it.
	Subtopic string
	// Key is the partition key (specification §7).
	Key string
	// CoarseKey is a second key that is accepted as well: for signals the one
	// without horizon, as specification §14.5 has it. It keeps the order.
	CoarseKey string
	// DedupeKey is the domain's natural idempotency key. It is never made up for
	// fills, ticks and bars: two equal executions are two executions.
	DedupeKey string
	// The times of specification §4, UTC; of several records the latest. Zero:
	// the payload has none.
	EventTime, AsOf, IngestTime, ExpiresAt time.Time
	// Lints are oddities that break nothing.
	Lints []string

	kind string // ticks: trade or quote
}

// FactsOf derives facts from a payload that is, or will be, published under
// topic. Of the topic only the subtopic is used, as the service of a metric and
// the kind of ticks, and only if it is one of the payload's domain. An error wraps ErrBatch, ErrMixedKeys, ErrIncomplete or
// ErrUnknownSchema; what does not depend on the fault is in Facts all the same.
func FactsOf(topic ampybus.Topic, m proto.Message) (Facts, error) {
	row, err := rowFor(m)
	if err != nil {
		return Facts{}, err
	}
	if topic.Domain != row.domain {
		topic = ampybus.Topic{}
	}
	records := recordsOf(m)
	if len(records) == 0 {
		return Facts{}, fmt.Errorf("%w: %s holds no record", ErrIncomplete, FQDN(m))
	}
	all := make([]Facts, len(records))
	var missing string
	for i, r := range records {
		f := finder{topic: topic}
		all[i] = row.describe(&f, r)
		if f.missing != "" && missing == "" {
			missing = f.missing
			if len(records) > 1 {
				missing = fmt.Sprintf("record %d: %s", i, missing)
			}
		}
	}
	facts := merge(all)
	if missing != "" {
		facts.Subtopic, facts.Key, facts.CoarseKey, facts.DedupeKey = "", "", "", ""
		return facts, fmt.Errorf("%w: %s is empty", ErrIncomplete, missing)
	}
	return facts, row.batch(topic, all)
}

// merge joins the facts of a batch: what differs becomes empty, of times the
// latest counts. Several records together have no natural dedupe key.
func merge(all []Facts) Facts {
	m := all[0]
	for _, f := range all[1:] {
		m.Subtopic = same(m.Subtopic, f.Subtopic)
		m.Key = same(m.Key, f.Key)
		m.CoarseKey = same(m.CoarseKey, f.CoarseKey)
		m.DedupeKey = ""
		m.EventTime = later(m.EventTime, f.EventTime)
		m.AsOf = later(m.AsOf, f.AsOf)
		m.IngestTime = later(m.IngestTime, f.IngestTime)
		m.ExpiresAt = later(m.ExpiresAt, f.ExpiresAt)
		for _, lint := range f.Lints {
			if !slices.Contains(m.Lints, lint) {
				m.Lints = append(m.Lints, lint)
			}
		}
	}
	return m
}

func same(a, b string) string {
	if a == b {
		return a
	}
	return ""
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// finder notes the first field that a key needs and the payload lacks.
type finder struct {
	topic   ampybus.Topic
	missing string
}

func (f *finder) need(field, value string) string {
	if value == "" && f.missing == "" {
		f.missing = field
	}
	return value
}

// moment is t's time, or zero when it is absent or invalid.
func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil || !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}
