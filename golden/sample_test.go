package golden

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/fixture"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

// sample describes one envelope. Everything about it is fixed: the same sample
// gives the same bytes on every machine and on every day.
type sample struct {
	// path is the file's, without extension: domain and name.
	path, note string
	topic      string
	message    proto.Message
	// producer is service@instance; the source is the service.
	producer, run string
	// payload stands in for the message's own bytes; keys still come from message.
	payload []byte
	// key is the partition key where the payload does not say it.
	key string
	// id, trace and produced are made up from path when they are empty.
	id, trace string
	produced  time.Time
	// change is applied last, to what a producer would publish.
	change func(t *testing.T, e *ampybus.Envelope)
}

// day is the day of specification §14.
var day = time.Date(2025, 9, 5, 0, 0, 0, 0, time.UTC)

// clock is a time of that day.
func clock(hour, minute, second, nanosecond int) time.Time {
	return time.Date(2025, 9, 5, hour, minute, second, nanosecond, time.UTC)
}

func at(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

func security(symbol, mic string) *commonv1.SecurityId {
	return &commonv1.SecurityId{Symbol: symbol, Mic: mic}
}

func decimal(scaled int64, scale int32) *commonv1.Decimal {
	return &commonv1.Decimal{Scaled: scaled, Scale: scale}
}

func money(scaled int64, scale int32, currency string) *commonv1.Money {
	return &commonv1.Money{Amount: decimal(scaled, scale), CurrencyCode: currency}
}

func meta(run, source, producer, schema string) *commonv1.Meta {
	return &commonv1.Meta{RunId: run, Source: source, Producer: producer, SchemaVersion: schema + ":1.0.0"}
}

// build makes the envelope and its uncompressed payload.
func (s sample) build(t *testing.T) (fixture.Fixture, []byte) {
	t.Helper()
	e, err := protopayload.Draft{
		Topic: s.topic, Message: s.message, Producer: s.producer, Source: s.source(), RunID: s.run, PartitionKey: s.key,
	}.Envelope()
	if err != nil {
		t.Fatalf("%s: %v", s.path, err)
	}
	h := &e.Headers
	h.ProducedAt = s.produced
	if s.produced.IsZero() {
		h.ProducedAt = clock(19, 31, 1, 0)
	}
	seed := sha256.Sum256([]byte(s.path))
	h.MessageID = s.id
	if s.id == "" {
		h.MessageID = fixedID(h.ProducedAt, seed)
	}
	h.Trace = fixedTrace(t, s.trace, seed)
	h.Topic = e.Topic
	if s.payload != nil {
		e.Payload = s.payload
	}
	bin := e.Payload
	if policy, _ := ampybus.PolicyFor(protopayload.Domain(h.SchemaFQDN)); policy.AlwaysHash {
		h.PayloadHash = ampybus.PayloadHash(bin)
	}
	if s.change != nil {
		s.change(t, &e)
	}
	return fixture.Fixture{Envelope: e, Note: s.note}, bin
}

func (s sample) source() string {
	for i := range s.producer {
		if s.producer[i] == '@' {
			return s.producer[:i]
		}
	}
	return s.producer
}

// fixedID is a UUIDv7 whose random bits come from seed.
func fixedID(at time.Time, seed [32]byte) string {
	var id [16]byte
	copy(id[:], seed[:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func fixedTrace(t *testing.T, traceID string, seed [32]byte) ampybus.TraceContext {
	t.Helper()
	trace := ampybus.TraceContext{Flags: 1}
	copy(trace.TraceID[:], seed[8:])
	copy(trace.SpanID[:], seed[24:])
	if traceID != "" {
		if _, err := hex.Decode(trace.TraceID[:], []byte(traceID)); err != nil {
			t.Fatal(err)
		}
	}
	return trace
}
