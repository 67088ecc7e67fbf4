package ampybus

import (
	"context"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// isEncoded: the payload is what goes out, whatever its size.
func isEncoded(h *Headers) bool { return h.ContentEncoding != "" || h.BlobRef != "" }

// pack compresses a large payload and moves one that is still too large for a
// record to the blob store. Bytes that are encoded already stay as they are.
func (b *Bus) pack(ctx context.Context, e *Envelope, policy *Policy) ([]byte, error) {
	if isEncoded(&e.Headers) {
		return e.Payload, nil
	}
	wire := e.Payload
	if len(wire) > policy.CompressOver {
		packed, err := Compress(wire)
		if err != nil {
			return nil, fmt.Errorf("compress payload of %s: %w", e.Headers.MessageID, err)
		}
		wire, e.Headers.ContentEncoding = packed, EncodingGzip
	}
	limit := MaxInlinePayload
	if l := b.t.Limits().MaxRecordBytes; l > 0 {
		limit = min(limit, l-MaxHeaderBlock)
	}
	if len(wire) <= limit {
		return wire, nil
	}
	return b.offload(ctx, e, limit)
}

// offload stores the uncompressed payload as a blob and leaves a pointer.
func (b *Bus) offload(ctx context.Context, e *Envelope, limit int) ([]byte, error) {
	if b.opts.Blobs == nil {
		return nil, &FieldError{
			Field:   "payload",
			Problem: fmt.Sprintf("%d bytes, over the limit of %d even when compressed", len(e.Payload), limit),
			Fix:     "send smaller batches, or configure a blob store (Options.Blobs)",
		}
	}
	hash := PayloadHash(e.Payload)
	ref, err := b.opts.Blobs.Put(ctx, hash, e.Payload)
	if err != nil {
		return nil, fmt.Errorf("store blob of %s: %w", e.Headers.MessageID, err)
	}
	h := &e.Headers
	h.ContentEncoding = ""
	h.BlobRef, h.BlobHash, h.BlobSize = ref, hash, int64(len(e.Payload))
	return nil, nil
}

// topicLimits says whether a publish may wait for the broker to tell what its
// topic takes.
type topicLimits bool

const (
	// mayAsk: once for each topic of a connection.
	mayAsk topicLimits = true
	// onlyKnown: PublishAsync does not wait for a broker.
	onlyKnown topicLimits = false
)

// anyTopicTakes is what is sent without looking for the topic's own limit: the
// look costs more than a small message may.
const anyTopicTakes = 4 << 10

// overTopic reports whether the topic refuses a record that the broker would
// take, and the most that it takes of a value.
func (b *Bus) overTopic(ctx context.Context, rec *driver.Record, asking topicLimits) (limit int, over bool) {
	t, limited := b.t.(driver.TopicLimited)
	if !limited || len(rec.Value) <= anyTopicTakes {
		return 0, false
	}
	limit, known := t.ValueLimit(ctx, rec, asking == mayAsk)
	return limit, known && len(rec.Value) > limit
}
