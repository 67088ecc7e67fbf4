package ampybus

import (
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// The wire names, the same on NATS and Kafka (specification §6).
const (
	HeaderTopic           = "topic"
	HeaderMessageID       = "message_id"
	HeaderSchemaFQDN      = "schema_fqdn"
	HeaderSchemaVersion   = "schema_version"
	HeaderContentType     = "content_type"
	HeaderContentEncoding = "content_encoding"
	HeaderProducedAt      = "produced_at"
	HeaderProducer        = "producer"
	HeaderSource          = "source"
	HeaderRunID           = "run_id"
	HeaderTraceparent     = "traceparent"
	HeaderTraceID         = "trace_id"
	HeaderSpanID          = "span_id"
	HeaderPartitionKey    = "partition_key"
	HeaderDedupeKey       = "dedupe_key"
	HeaderRetryCount      = "retry_count"
	HeaderSchemaHash      = "schema_hash"
	HeaderPayloadHash     = "payload_hash"
	HeaderBlobRef         = "blob_ref"
	HeaderBlobHash        = "blob_hash"
	HeaderBlobSize        = "blob_size"
	HeaderDLQReason       = "dlq_reason"
	HeaderDLQTopic        = "dlq_topic"
	HeaderDLQGroup        = "dlq_group"
	HeaderDLQAttempts     = "dlq_attempts"
	HeaderDLQAt           = "dlq_at"
	HeaderDLQOrigin       = "dlq_origin"
	HeaderBridgePath      = "bridge_path"
	HeaderBridgeStoredAt  = "bridge_stored_at"
	HeaderBridgeKey       = "bridge_key"
)

const (
	// ContentTypeProtobuf is the content type of every payload on the bus.
	ContentTypeProtobuf = "application/x-protobuf"
	// ContentTypeJSON marks protojson for human eyes (specification §4).
	ContentTypeJSON = "application/json"
	// EncodingGzip is the only content encoding; the empty one is none.
	EncodingGzip = "gzip"
	// DefaultSchemaVersion is what NewHeaders writes.
	DefaultSchemaVersion = "1.0.0"
)

// Headers are the headers of a message as Go values. EncodeHeaders and
// DecodeHeaders translate them to and from the wire.
type Headers struct {
	// MessageID is a UUIDv7 in lower case; it stays the same through retries,
	// redrive and replay.
	MessageID string
	// SchemaFQDN is the full name of the payload's protobuf type.
	SchemaFQDN string
	// SchemaVersion is major.minor.patch, for diagnostics; the major that
	// counts is in the topic.
	SchemaVersion string
	ContentType   string
	// ContentEncoding is "" or "gzip".
	ContentEncoding string
	// ProducedAt is when the producer made the record, UTC, up to nanoseconds.
	ProducedAt time.Time
	// Producer is the service instance, such as yfinance-go@ingest-1; Source
	// the upstream system; RunID the run or session.
	Producer, Source, RunID string
	// Trace is written as traceparent, trace_id and span_id.
	Trace TraceContext
	// PartitionKey orders: records of one key stay in their order.
	PartitionKey string
	// DedupeKey is the domain's own idempotency key, if it has one.
	DedupeKey string
	// RetryCount counts how often the record was published again.
	RetryCount int
	// DLQ is zero when the record is not a dead letter. Only the bus sets it.
	DLQ DLQInfo
	// Bridge is zero when no bridge has carried the record. Only a bridge sets
	// it; Publish leaves it out.
	Bridge BridgeInfo
	// SchemaHash is "v1:sha256:" and hex; PayloadHash "sha256:" and the hex of
	// the uncompressed payload's SHA-256.
	SchemaHash, PayloadHash string
	// BlobRef, BlobHash and BlobSize point to a payload kept elsewhere.
	BlobRef, BlobHash string
	BlobSize          int64
	// Topic is the full bus topic. Empty before publishing.
	Topic string
	// Extra holds headers that the contract does not name, in order. They
	// survive every hop.
	Extra []driver.Header
}

// DLQInfo says why and where a record was given up.
type DLQInfo struct {
	// Reason is "code" or "code: detail"; peers of ampy-bus 1.x write free text.
	Reason string
	// Topic is the record's own topic, Group the group that gave it up.
	Topic, Group string
	// Attempts counts how often the handler ran.
	Attempts int
	// At is when it was given up, UTC.
	At time.Time
	// Origin is the record's place, "log:position".
	Origin string
}

// IsZero reports that the record is not a dead letter.
func (d DLQInfo) IsZero() bool { return d == DLQInfo{} }

// NewHeaders fills what every message has: a new MessageID, ProducedAt now, a
// new trace, SchemaVersion 1.0.0 and ContentType application/x-protobuf.
func NewHeaders(schema, producer, source, partitionKey string) Headers {
	now := time.Now()
	return Headers{
		MessageID:     newID(now),
		SchemaFQDN:    schema,
		SchemaVersion: DefaultSchemaVersion,
		ContentType:   ContentTypeProtobuf,
		ProducedAt:    now.UTC().Round(0),
		Producer:      producer,
		Source:        source,
		Trace:         NewTrace(),
		PartitionKey:  partitionKey,
	}
}
