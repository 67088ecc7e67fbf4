package ampybus

const (
	// MaxHeaderBlock bounds all headers of a record together, in bytes as NATS
	// writes them. JetStream refuses 64 KiB.
	MaxHeaderBlock = 16 << 10
	// MaxHeaderValue bounds one header's value in bytes.
	MaxHeaderValue = 4 << 10
	// MaxInlinePayload is the size in bytes, after compression, above which a
	// payload goes to a blob store (specification §4 and §9).
	MaxInlinePayload = 1 << 20
	// MaxPayload bounds a payload in bytes before compression: what consumers
	// inflate or fetch by default.
	MaxPayload = DefaultMaxInflated
)

// Envelope is a message as it is published: a topic, headers and the payload's
// bytes (specification §6).
type Envelope struct {
	Topic   string
	Headers Headers
	// Payload is opaque to the bus and is published as it is.
	Payload []byte
}

// Validate checks what an application publishes. The error joins a *FieldError
// for each fault. It does not allocate when there is none.
func (e Envelope) Validate() error { return e.check(asApplication) }

// ValidateInternal checks what the bus itself publishes: dead letters, redrives
// and replays of what was read before. Dead-letter topics and headers are legal,
// and what DecodeHeaders reads with a lint is legal too.
func (e Envelope) ValidateInternal() error { return e.check(asBus) }

// ValidateRead checks what concerns several headers, or a header and the topic,
// of a record whose headers DecodeHeaders has read: topic and topic header,
// topic and schema, topic and key, and dlq_ headers where no dead letter is.
func (e Envelope) ValidateRead() error { return checkRead(e.Topic, &e.Headers, &topicMemo{}) }
