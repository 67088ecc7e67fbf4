package bench

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Load says what to publish, and how fast.
type Load struct {
	Topic, Schema, Producer, Source string
	// Key is the partition key. With several keys they are Key, Key|1, Key|2 ….
	Key  string
	Keys int // zero: one
	// Count of messages.
	Count int
	// PayloadBytes is the size of each payload; it decodes as an empty message
	// of any type.
	PayloadBytes int
	// Rate in messages a second makes an open loop: messages are due at fixed
	// times, and latency counts from then on, however late they are sent. Zero
	// sends as fast as the publisher takes them.
	Rate float64
}

// Validate reports whether the bus would take the load's messages.
func (l Load) Validate() error {
	for i := range min(max(l.Keys, 1), 2) { // further keys differ in a number only
		if err := l.envelope(i, time.Now(), l.payload()).Validate(); err != nil {
			return fmt.Errorf("check load: %w", err)
		}
	}
	return nil
}

// envelope is message i of the load, produced at the given time.
func (l Load) envelope(i int, at time.Time, payload []byte) ampybus.Envelope {
	key := l.Key
	if n := i % max(l.Keys, 1); n > 0 {
		key = l.Key + "|" + strconv.Itoa(n)
	}
	h := ampybus.NewHeaders(l.Schema, l.Producer, l.Source, key)
	h.RunID, h.ProducedAt = "bench", at.UTC().Round(0)
	return ampybus.Envelope{Topic: l.Topic, Headers: h, Payload: payload}
}

// padField is the largest field number: no payload type uses it, so decoders
// keep it as an unknown field.
const padField = protowire.MaxValidNumber

// payload is PayloadBytes long, or a little longer where a field's frame does
// not fit.
func (l Load) payload() []byte {
	if l.PayloadBytes <= 0 {
		return nil
	}
	frame := protowire.SizeTag(padField) + protowire.SizeVarint(uint64(l.PayloadBytes))
	body := make([]byte, max(l.PayloadBytes-frame, 0))
	for i := range body {
		body[i] = byte(i * 167) // not a run of zeros, which would compress to nothing
	}
	b := protowire.AppendTag(nil, padField, protowire.BytesType)
	return protowire.AppendBytes(b, body)
}

// due is when message i is to be sent: now, without a rate.
func (l Load) due(began time.Time, i int) time.Time {
	if l.Rate <= 0 {
		return time.Now()
	}
	return began.Add(time.Duration(float64(i) / l.Rate * float64(time.Second)))
}
