package bench

import (
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// rawAhead bounds what a raw client reads ahead, in bytes of payloads. At 64 MiB
// the NATS client drops what its subscription cannot hold, and the server sends
// it again half a minute later.
const rawAhead = 16 << 20

// asSent is e as both sides put it on the wire: with its topic, and compressed
// where the specification asks for it (§4).
func asSent(e ampybus.Envelope) ampybus.Envelope {
	e.Headers.Topic = e.Topic
	if len(e.Payload) <= ampybus.CompressOver {
		return e
	}
	if packed, err := ampybus.Compress(e.Payload); err == nil {
		e.Payload, e.Headers.ContentEncoding = packed, ampybus.EncodingGzip
	}
	return e
}

// take counts a record of a client library once its payload is as it was
// published. produced_at is parsed where it is asked for.
func (r Reception) take(header func(name string) string, value []byte) {
	if r.PayloadBytes > ampybus.CompressOver {
		if _, err := ampybus.Decompress(header(ampybus.HeaderContentEncoding), value, ampybus.InflateLimits{}); err != nil {
			return // it is missing in the result
		}
	}
	var at time.Time
	if r.Timed {
		at, _ = time.Parse(time.RFC3339Nano, header(ampybus.HeaderProducedAt))
	}
	r.Got(at)
}

// ahead is how many messages to ask for at once, at most n.
func (r Reception) ahead(n int) int {
	return max(min(n, rawAhead/max(r.PayloadBytes, 1)), 1)
}
