package golden

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

const barsOrigin = "AMPY_PROD_BARS:4711"

func deadLetterSamples() []sample {
	bars := minuteBars(security("AAPL", "XNAS"), 2)
	lostOrder := limitOrder()
	lostOrder.ClientOrderId = "co_20250905_003"
	return []sample{
		{
			path: "dlq/typical", note: "A decimal with a scale of 25 (specification §14.8): poison, so it was given up at the first attempt.",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: barFeed, run: "run_abc123", message: bars, payload: withScale(25),
			change: dead(protopayload.ReasonDecimalScale, "ampy-features", 1, barsOrigin),
		},
		{
			path: "dlq/minimal", note: "The shape of specification §14.8, as peers of ampy-bus 1.x write it: the router's own id and producer, and no header but dlq_reason.",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: "bus-router@plane-1", run: "bus_20250905", message: bars, payload: withScale(25),
			id: "018f5e35-0f42-7a31-9e77-1c2a9b11d0ef", trace: "feedfacecafebeef0011223344556677", produced: clock(19, 31, 2, 0),
			change: func(t *testing.T, e *ampybus.Envelope) {
				dead(protopayload.ReasonDecimalScale, "", 0, "")(t, e)
				e.Headers.DLQ = ampybus.DLQInfo{Reason: protopayload.ReasonDecimalScale}
				e.Headers.Source, e.Headers.SchemaHash, e.Headers.PayloadHash = "ampy-bus", "", ""
			},
		},
		{
			path: "dlq/poison_bytes", note: "Bytes that are no protobuf at all, among them NUL and invalid UTF-8. A header that the contract does not name survives.",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: "poison@cli", run: "run_abc123", message: bars,
			payload: []byte("this is not protobuf\x00\xff\xfe\r\n\x1b[31m"),
			change: func(t *testing.T, e *ampybus.Envelope) {
				e.Headers.Extra = append(e.Headers.Extra, extraHeader)
				dead("decode:proto: ampy.bars.v1.BarBatch: proto: cannot parse invalid wire-format data", "ampy-features", 1, barsOrigin)(t, e)
			},
		},
		{
			path: "dlq/broken_gzip", note: "content_encoding says gzip, the bytes say otherwise. The .bin file holds the bytes as they arrived.",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: barFeed, run: "run_abc123", message: bars,
			payload: []byte("\x1f\x8b\x08\x00 and then nothing that inflates"),
			change: func(t *testing.T, e *ampybus.Envelope) {
				e.Headers.ContentEncoding = ampybus.EncodingGzip
				dead("decode:gzip: inflate: flate: corrupt input before offset 5", "ampy-features", 1, barsOrigin)(t, e)
			},
		},
		{
			path: "dlq/order_behind_dead_one", note: "A sound order behind one of its key that died: parked, so that nothing overtakes.",
			topic: "ampy.prod.orders.v1.requests", producer: orderSystem, run: liveRun, message: lostOrder,
			change: dead("predecessor_dead:018f5e32-9b2a-7cde-9333-4f1ab2a49e77", "broker-alpaca", 0, "AMPY_PROD_ORDERS:12"),
		},
	}
}

// withScale is a batch whose second bar has a decimal of this scale.
func withScale(scale int32) []byte {
	bars := minuteBars(security("AAPL", "XNAS"), 2)
	bars.Bars[1].Vwap.Scale = scale
	return encode(bars)
}

func encode(m proto.Message) []byte {
	b, err := protopayload.Canonical(m)
	if err != nil {
		return nil
	}
	return b
}
