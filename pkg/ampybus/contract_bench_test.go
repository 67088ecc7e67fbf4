package ampybus

import (
	"bytes"
	"testing"
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
	b.ReportAllocs()
	for b.Loop() {
		NewID()
	}
}

func BenchmarkEncodeHeaders(b *testing.B) {
	h := benchEnvelope().Headers
	b.ReportAllocs()
	for b.Loop() {
		EncodeHeaders(h)
	}
}

func BenchmarkDecodeHeaders(b *testing.B) {
	hs := EncodeHeaders(benchEnvelope().Headers)
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = DecodeHeaders(hs)
	}
}

func BenchmarkValidate(b *testing.B) {
	e := benchEnvelope()
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Validate()
	}
}

func BenchmarkValidateRead(b *testing.B) {
	e := benchEnvelope()
	b.ReportAllocs()
	for b.Loop() {
		_ = e.ValidateRead()
	}
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
