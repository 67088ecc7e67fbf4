package ampybus

import (
	"crypto/sha256"
	"errors"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The naive ways are what a service writes without the bus: a map of headers,
// regular expressions, a set of ids. The benchmarks compare the bus with them.

func naiveEncode(h *Headers) map[string][]string {
	m := map[string][]string{}
	set := func(name, value string) {
		if value != "" {
			m[name] = append(m[name], value)
		}
	}
	set(HeaderMessageID, h.MessageID)
	set(HeaderTopic, h.Topic)
	set(HeaderSchemaFQDN, h.SchemaFQDN)
	set(HeaderSchemaVersion, h.SchemaVersion)
	set(HeaderContentType, h.ContentType)
	set(HeaderProducedAt, h.ProducedAt.Format(time.RFC3339Nano))
	set(HeaderProducer, h.Producer)
	set(HeaderSource, h.Source)
	set(HeaderRunID, h.RunID)
	set(HeaderTraceparent, h.Trace.Traceparent())
	set(HeaderTraceID, h.Trace.TraceIDString())
	set(HeaderSpanID, h.Trace.SpanIDString())
	set(HeaderPartitionKey, h.PartitionKey)
	set(HeaderDedupeKey, h.DedupeKey)
	if h.RetryCount > 0 {
		set(HeaderRetryCount, strconv.Itoa(h.RetryCount))
	}
	return m
}

func naiveDecode(m map[string][]string) (Headers, error) {
	get := func(name string) string {
		if vs := m[name]; len(vs) > 0 {
			return vs[0]
		}
		return ""
	}
	h := Headers{
		MessageID: get(HeaderMessageID), Topic: get(HeaderTopic),
		SchemaFQDN: get(HeaderSchemaFQDN), SchemaVersion: get(HeaderSchemaVersion), ContentType: get(HeaderContentType),
		Producer: get(HeaderProducer), Source: get(HeaderSource), RunID: get(HeaderRunID),
		PartitionKey: get(HeaderPartitionKey), DedupeKey: get(HeaderDedupeKey),
	}
	if _, err := uuid.Parse(h.MessageID); err != nil {
		return h, err
	}
	var err error
	h.ProducedAt, err = time.Parse(time.RFC3339Nano, get(HeaderProducedAt))
	return h, err
}

// naiveChecks are a part of what Validate checks.
type naiveChecks struct{ topic, fqdn, version, text *regexp.Regexp }

func newNaiveChecks() naiveChecks {
	return naiveChecks{
		topic:   regexp.MustCompile(`^ampy\.(dev|paper|prod)\.[a-z_]+\.v[1-9][0-9]*(\.[A-Za-z0-9_@|-]+)+$`),
		fqdn:    regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`),
		version: regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`),
		text:    regexp.MustCompile(`^[ -~]+$`),
	}
}

func (c naiveChecks) check(e *Envelope) error {
	h := &e.Headers
	if id, err := uuid.Parse(h.MessageID); err != nil || id.Version() != 7 {
		return errors.New("message_id")
	}
	if !c.topic.MatchString(e.Topic) || !c.fqdn.MatchString(h.SchemaFQDN) || !c.version.MatchString(h.SchemaVersion) {
		return errors.New("topic or schema")
	}
	for _, text := range []string{h.Producer, h.Source, h.PartitionKey} {
		if !c.text.MatchString(text) {
			return errors.New("text")
		}
	}
	return nil
}

// naiveDedupe is a set of ids and payload hashes with a queue to forget by.
type naiveDedupe struct {
	mu    sync.Mutex
	ids   map[string][sha256.Size]byte
	queue []string
	limit int
}

func newNaiveDedupe(limit int) *naiveDedupe {
	return &naiveDedupe{ids: map[string][sha256.Size]byte{}, limit: limit}
}

func (d *naiveDedupe) seen(m *Message) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	hash, ok := d.ids[m.Headers.MessageID]
	return ok && hash == sha256.Sum256(m.Payload)
}

func (d *naiveDedupe) mark(m *Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids[m.Headers.MessageID] = sha256.Sum256(m.Payload)
	if d.queue = append(d.queue, m.Headers.MessageID); len(d.queue) > d.limit {
		delete(d.ids, d.queue[0])
		d.queue = d.queue[1:]
	}
}
