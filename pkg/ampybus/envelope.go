package ampybus

// Envelope is a message as it is published: a topic, headers and the payload's
// bytes (specification §6).
type Envelope struct {
	Topic   string
	Headers Headers
	// Payload is opaque to the bus and is published as it is.
	Payload []byte
}

const (
	// MaxHeaderBlock bounds all headers of a record together, in bytes as NATS
	// writes them. JetStream refuses 64 KiB.
	MaxHeaderBlock = 16 << 10
	// MaxHeaderValue bounds one header's value in bytes.
	MaxHeaderValue = 4 << 10
	// MaxInlinePayload is the size in bytes, after compression, above which a
	// payload goes to a blob store (specification §4 and §9).
	MaxInlinePayload = 1 << 20
)

func (e Envelope) Validate() error { return nil }

func (e Envelope) ValidateInternal() error { return nil }

func (e Envelope) Lint() []string { return nil }
