package service

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

// ID is the message id of what key names and at dates: a UUIDv7 whose time is
// at and whose remaining bits are a hash of key. Whoever says the same thing
// again, after a crash or because its input came twice, says it under the same
// id; brokers and consumers then drop it.
func ID(at time.Time, key string) string {
	hash := sha256.Sum256([]byte(key))
	id := ampybus.ID(hash[:16])
	ms := uint64(at.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70 // version 7
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id.String()
}

// Envelope makes the envelope of a payload that follows from cause, which may
// be nil: it continues cause's trace and run. A payload with a dedupe key gets
// its ID of it.
func Envelope(d protopayload.Draft, cause *ampybus.Message) (ampybus.Envelope, error) {
	if cause != nil && d.RunID == "" {
		d.RunID = cause.Headers.RunID
	}
	e, err := d.Envelope()
	if err != nil {
		return e, err
	}
	if cause != nil {
		e.Headers.Trace = cause.Headers.Trace.Child()
	}
	if e.Headers.DedupeKey == "" {
		return e, nil
	}
	topic, err := ampybus.ParseTopic(d.Topic)
	if err != nil {
		return e, err
	}
	facts, err := protopayload.FactsOf(topic, d.Message)
	e.Headers.MessageID = ID(facts.EventTime, d.Topic+"|"+e.Headers.DedupeKey)
	return e, err
}

// Publish publishes what follows from cause; see Envelope.
func Publish(ctx context.Context, bus *ampybus.Bus, d protopayload.Draft, cause *ampybus.Message) error {
	e, err := Envelope(d, cause)
	if err != nil {
		return err
	}
	return bus.Publish(ctx, e.Topic, e.Headers, e.Payload)
}

// Decoded makes a handler of one that wants its payload decoded. A payload that
// cannot be decoded is poison: a dead letter at once.
func Decoded[T proto.Message](h func(context.Context, *ampybus.Message, T) error) ampybus.Handler {
	return func(ctx context.Context, m *ampybus.Message) error {
		payload, err := Decode[T](m)
		if err != nil {
			return ampybus.Permanent(err)
		}
		return h(ctx, m, payload)
	}
}

// Decode is the payload of m, which must be a T.
func Decode[T proto.Message](m *ampybus.Message) (T, error) {
	var want T
	p, err := protopayload.Decode(m.Headers.SchemaFQDN, m.Payload)
	if err != nil {
		return want, err
	}
	t, ok := p.(T)
	if !ok {
		return want, fmt.Errorf("payload is %s, not %s", protopayload.FQDN(p), protopayload.FQDN(want))
	}
	return t, nil
}
