package kafkabinding

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// manyRecords are more than a processor's caches hold, as those of a fetch are.
func manyRecords(b *testing.B) []byte {
	b.Helper()
	const n = 20_000
	rs := make([]*kgo.Record, 0, n)
	payload := benchPayload()
	for i := range n {
		e := benchEnvelope(i, payload)
		e.Headers.Topic = e.Topic
		rec := driver.Record{Topic: e.Topic, Key: e.Headers.PartitionKey, ID: e.Headers.MessageID, Headers: ampybus.EncodeHeaders(e.Headers), Value: payload}
		rs = append(rs, encode(&rec, "ampy.dev.bars.v1"))
	}
	return rawRecords(rs)
}

// BenchmarkUnpack is what the binding does with a record that was fetched.
func BenchmarkUnpack(b *testing.B) {
	const n = 20_000
	plain := manyRecords(b)
	f := offlinePacker(b)
	b.Run("pack", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += n {
			if _, err := f.packCopy(plain); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		packed := must(f.packCopy(plain))
		u := unpacker{log: "log"}
		b.ReportAllocs()
		b.ResetTimer()
		for i := 0; i < b.N; i += n {
			rs := fetched(nil, packed, n, kgo.CodecNone).Records
			u.open([]step{f.step(rs[0], 0)}, n, func(*driver.Delivery) {})
		}
	})
}
