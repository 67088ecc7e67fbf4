package ampybus

import (
	"bytes"
	"testing"

	"github.com/google/uuid"

	"github.com/AmpyFin/ampy-bus/internal/ways"
)

func benchEnvelope() Envelope {
	e := bars()
	e.Headers.Topic, e.Headers.RunID = e.Topic, "live_0912"
	return e
}

func BenchmarkParseTopic(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseTopic("ampy.prod.bars.v1.XNAS.AAPL")
	}
}

func BenchmarkPatternMatch(b *testing.B) {
	p, err := ParsePattern("ampy.*.bars.v1.*.>")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Match("ampy.prod.bars.v1.XNAS.AAPL")
	}
}

func BenchmarkNewID(b *testing.B) {
	ways.Run(b, "bus", func() { NewID() })
	ways.Run(b, "naive", func() { _ = uuid.Must(uuid.NewV7()).String() })
}

func BenchmarkEncodeHeaders(b *testing.B) {
	h := benchEnvelope().Headers
	ways.Run(b, "bus", func() { EncodeHeaders(h) })
	ways.Run(b, "naive", func() { naiveEncode(&h) })
}

func BenchmarkDecodeHeaders(b *testing.B) {
	h := benchEnvelope().Headers
	hs, m := EncodeHeaders(h), naiveEncode(&h)
	ways.Run(b, "bus", func() { _, _, _ = DecodeHeaders(hs) })
	ways.Run(b, "naive", func() { _, _ = naiveDecode(m) })
}

func BenchmarkValidate(b *testing.B) {
	e := benchEnvelope()
	naive := newNaiveChecks()
	ways.Run(b, "bus", func() { _ = e.Validate() })
	ways.Run(b, "naive", func() { _ = naive.check(&e) })
}

func BenchmarkValidateRead(b *testing.B) {
	e := benchEnvelope()
	b.ReportAllocs()
	for b.Loop() {
		_ = e.ValidateRead()
	}
}

func BenchmarkDedupe(b *testing.B) {
	const window = 100_000
	messages := make([]*Message, 2*window)
	for i := range messages {
		e := benchEnvelope()
		messages[i] = &Message{Headers: e.Headers, Payload: e.Payload}
		messages[i].id, _ = ParseID(e.Headers.MessageID)
	}
	pick := func() func() *Message {
		n := 0
		return func() *Message { n++; return messages[n%len(messages)] }
	}
	store, next := NewMemoryDedupe(window), pick()
	ways.Run(b, "bus", func() {
		m := next()
		_, _ = store.Seen(b.Context(), m)
		_ = store.Mark(b.Context(), m)
	})
	naive, next := newNaiveDedupe(window), pick()
	ways.Run(b, "naive", func() {
		if m := next(); !naive.seen(m) {
			naive.mark(m)
		}
	})
}

func BenchmarkGzip(b *testing.B) {
	payload := bytes.Repeat([]byte(`{"symbol":"AAPL","mic":"XNAS","close":191.99,"volume":1234567}`), 4096)
	packed, err := Compress(payload)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Compress", func(b *testing.B) {
		b.SetBytes(int64(len(payload)))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = Compress(payload)
		}
	})
	b.Run("Decompress", func(b *testing.B) {
		b.SetBytes(int64(len(payload)))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = Decompress(EncodingGzip, packed, InflateLimits{})
		}
	})
}
