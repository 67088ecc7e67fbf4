package protopayload

import (
	"testing"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"
	ticksv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/ticks/v1"
	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

func benchMessages() map[string]proto.Message {
	meta := &commonv1.Meta{RunId: "live_0912", Source: "databento-cpp", Producer: "tick-1", SchemaVersion: "1.0.0"}
	bars := &barsv1.BarBatch{}
	for range 60 {
		bars.Bars = append(bars.Bars, &barsv1.Bar{
			Security: sec("AAPL", "XNAS"), Start: at(noon), End: at(noon), Open: dec(1, 4), High: dec(1, 4), Low: dec(1, 4), Close: dec(1, 4),
			Vwap: dec(1, 4), Volume: 1, TradeCount: 1, EventTime: at(noon), IngestTime: at(noon), AsOf: at(noon), Meta: meta,
		})
	}
	return map[string]proto.Message{
		"TradeTick": &ticksv1.TradeTick{
			Security: sec("MSFT", "XNAS"), Price: dec(4275150, 4), Size: 100, Venue: "XNAS", EventTime: at(noon), IngestTime: at(noon), Meta: meta,
		},
		"Signal": &signalsv1.Signal{
			ModelId: "hyper", Security: sec("NVDA", "XNAS"), Horizon: "5d", GeneratedAt: at(noon), ExpiresAt: at(noon),
			Value: &signalsv1.Signal_Score{Score: dec(1, 4)}, Meta: meta,
		},
		"BarBatch60": bars,
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, m := range benchMessages() {
		payload, _ := Canonical(m)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Decode(FQDN(m), payload)
			}
		})
	}
}

func BenchmarkCanonical(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Canonical(m)
			}
		})
	}
}

func BenchmarkFactsOf(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = FactsOf(ampybus.Topic{}, m)
			}
		})
	}
}
