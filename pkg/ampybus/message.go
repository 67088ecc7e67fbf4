package ampybus

import (
	"strconv"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Message is an envelope as delivered. A handler may keep it, and with it keeps
// in memory what was allocated together with it: a few small messages, and from
// Kafka the batch that holds its payload.
type Message struct {
	// Topic is the topic that the record is stored under.
	Topic   string
	Headers Headers
	// Payload holds the bytes that the producer published: inflated, fetched
	// and verified. Handlers must not change them.
	Payload []byte

	// Attempt counts the handler's attempts in this process, from 1.
	Attempt int
	// StoredAt is the broker's time, UTC.
	StoredAt time.Time
	// Log and Pos say where the broker holds the record.
	Log string
	Pos uint64
	// Group, Lane and Epoch identify the owner that was handed the message;
	// Epoch grows with each change of owner, so a store can fence with it.
	// They are zero outside Consume.
	Group string
	Lane  string
	Epoch uint64

	// Lints are departures from the contract that were read leniently.
	Lints []string
	// Record is the record as the broker holds it: compressed bytes, raw headers.
	Record driver.Record

	id ID // Headers.MessageID as it was read; zero: not known
}

// Origin is where the record is stored: "log:position".
func (m *Message) Origin() string { return m.Log + ":" + strconv.FormatUint(m.Pos, 10) }

// Envelope returns what was published.
func (m *Message) Envelope() Envelope {
	return Envelope{Topic: m.Topic, Headers: m.Headers, Payload: m.Payload}
}

// Clone returns a copy that shares no payload bytes with m.
func (m *Message) Clone() *Message {
	c := *m
	c.Payload = append([]byte(nil), m.Payload...)
	return &c
}
