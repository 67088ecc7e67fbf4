package ampybus

import (
	"context"
	"fmt"
)

// unpack verifies a message and fills its Payload: topic, encoding, hash,
// blob. An error with a Reason is the message's own fault.
func (b *Bus) unpack(ctx context.Context, m *Message, memo *topicMemo) error {
	h := &m.Headers
	if err := checkRead(m.Topic, h, memo); err != nil {
		return err
	}
	payload := m.Record.Value
	if h.BlobRef != "" {
		blob, err := b.fetch(ctx, h)
		if err != nil {
			return err
		}
		payload = blob
	}
	if h.ContentEncoding != "" {
		plain, err := Decompress(h.ContentEncoding, payload, InflateLimits{})
		if err != nil {
			return err
		}
		payload = plain
	}
	if h.PayloadHash != "" && h.PayloadHash != PayloadHash(payload) {
		return &PoisonError{Code: ReasonPayloadHash, Err: fmt.Errorf("the payload is not what was published")}
	}
	m.Payload = payload
	return nil
}

// fetch reads the payload that a blob pointer names.
func (b *Bus) fetch(ctx context.Context, h *Headers) ([]byte, error) {
	if b.opts.Blobs == nil {
		if err := (BlobRules{}).Check(h.BlobRef); err != nil {
			return nil, err
		}
		return nil, &PoisonError{Code: "blob", Err: fmt.Errorf("a blob pointer, and no blob store is configured (Options.Blobs)")}
	}
	return FetchBlob(ctx, b.opts.Blobs, *h)
}
