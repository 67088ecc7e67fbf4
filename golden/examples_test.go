package golden

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/fixture"
)

const examplesDir = "../examples"

// examples are the files that the specification names, with the headers of its
// §14. Keys are in the form that is recommended now.
func examples() []sample {
	return []sample{
		{
			path: "bars_v1_XNAS_AAPL", note: "OHLCV bars: two adjusted minutes.",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: barFeed, run: "run_abc123", message: minuteBars(security("AAPL", "XNAS"), 2),
			id: "018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2", trace: "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812", produced: clock(19, 31, 1, 0),
		},
		{
			path: "ticks_v1_trade_MSFT", note: "One trade.",
			topic: "ampy.prod.ticks.v1.trade.MSFT", producer: "databento-cpp@tick-ingest-3", run: "live_0912", message: tickSamples()[0].message,
			id: "018f5e30-1a3b-7f9e-bccc-1e12a1c3e0d9", trace: "a0c1b2d3e4f5061728394a5b6c7d8e9f", produced: clock(19, 30, 12, 462_000_000),
		},
		{
			path: "news_v1_raw", note: "One news item; consumers dedupe by its id.",
			topic: "ampy.prod.news.v1.raw", producer: "marketbeat-go@news-2", run: "news_live_37", message: newsSamples()[0].message,
			id: "018f5e31-0e1d-7b2a-9f7c-41acef2b9f01", trace: "f2b1c7d9c4c34b3a9d0e4f5a9e2d8b11", produced: clock(13, 5, 15, 0),
		},
		{
			path: "fx_v1_USD_JPY", note: "A snapshot of one pair; the latest wins.",
			topic: "ampy.prod.fx.v1.USD.JPY", producer: "fxrates-go@fx-1", run: "fx_145", message: fxSamples()[0].message,
			id: "018f5e31-3c55-76af-9421-fd10ce9bba75", trace: "2f0a3c6e9b574c5e8b7a6d5c4b3a2f19", produced: clock(19, 30, 0, 0),
		},
		{
			path: "signals_v1_hyper_NVDA", note: "An ALPHA score of a model for one security and horizon.",
			topic: "ampy.prod.signals.v1." + model, producer: modelServer, run: "live_0912", message: alpha(),
			id: "018f5e32-7f1a-74d2-9a11-b53f54d8a911", trace: "1c2d3e4f5061728394a5b6c7d8e9fa0b", produced: clock(19, 31, 3, 0),
		},
		{
			path: "orders_v1_request", note: "A limit order.",
			topic: "ampy.prod.orders.v1.requests", producer: orderSystem, run: liveRun, message: limitOrder(),
			id: "018f5e32-9b2a-7cde-9333-4f1ab2a49e77", trace: "9f8e7d6c5b4a39281706f5e4d3c2b1a0", produced: clock(19, 31, 5, 0),
		},
		{
			path: "fills_v1_event", note: "A partial fill.",
			topic: "ampy.prod.fills.v1.events", producer: broker, run: liveRun, message: partialFill(),
			id: "018f5e33-0a1b-71e3-980f-bcaa4c11902a", trace: "0a1b2c3d4e5f60718293a4b5c6d7e8f9", produced: clock(19, 31, 6, 0),
		},
		{
			path: "positions_v1_snapshot", note: "A position; as_of only grows per key.",
			topic: "ampy.prod.positions.v1.snapshots", producer: accounting, run: liveRun, message: longPosition(),
			id: "018f5e33-4b7d-72ac-8d24-d0a3e1b4c1e3", trace: "1029384756abcdef0123456789abcdef", produced: clock(19, 35, 0, 0),
		},
		{
			path: "metrics_v1_oms_order_rejects", note: "A counter with labels.",
			topic: "ampy.prod.metrics.v1.ampy-oms", producer: orderSystem, run: liveRun, message: orderRejects(),
			id: "018f5e34-3b21-7c1f-b8e2-31b9e7fda4d0", trace: "abcdef0123456789abcdef0123456789", produced: clock(19, 31, 5, 0),
		},
		{
			path: "dlq_v1_bars", note: "The dead letter of bars with a decimal that has a scale of 25: the payload's bytes as they arrived.",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: barFeed, run: "run_abc123",
			message: minuteBars(security("AAPL", "XNAS"), 2), payload: withScale(25),
			id: "018f5e35-0f42-7a31-9e77-1c2a9b11d0ef", trace: "feedfacecafebeef0011223344556677", produced: clock(19, 31, 1, 0),
			change: dead("decode_error: invalid decimal scale", "ampy-features", 1, barsOrigin),
		},
		{
			path: "control_v1_replay_request", note: "A request to replay a session's bars of one security.",
			topic: "ampy.prod.control.v1.replay_requests", producer: "ops-tooling@cli-1", run: "ops_7", message: replayWindow(),
			id: requestID, produced: clock(19, 40, 0, 0),
		},
	}
}

func TestExamplesAreWhatTheSamplesDescribe(t *testing.T) {
	for _, s := range examples() {
		f, _ := s.build(t)
		want, err := fixture.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(examplesDir, s.path+".json")
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(t, path); !bytes.Equal(got, want) {
			t.Errorf("%s differs: go test ./golden -update rewrites it", path)
		}
	}
}

func TestTheElevenExamplesOfTheSpecificationAreValid(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(examplesDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(path))
		f, err := fixture.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		topic, _ := ampybus.ParseTopic(f.Envelope.Topic)
		if lints, err := f.Validate(); err != nil || len(lints) > 0 && topic.Domain != ampybus.DomainDLQ {
			t.Errorf("%s: %v, lints %q", path, err, lints)
		}
	}
	want := []string{
		"bars_v1_XNAS_AAPL.json", "control_v1_replay_request.json", "dlq_v1_bars.json", "fills_v1_event.json", "fx_v1_USD_JPY.json",
		"metrics_v1_oms_order_rejects.json", "news_v1_raw.json", "orders_v1_request.json", "positions_v1_snapshot.json",
		"signals_v1_hyper_NVDA.json", "ticks_v1_trade_MSFT.json",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
