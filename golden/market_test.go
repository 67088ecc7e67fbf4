package golden

import (
	"testing"
	"time"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fxv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fx/v1"
	newsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/news/v1"
	ticksv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/ticks/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

const barFeed = "yfinance-go@ingest-1"

// minuteBars are n adjusted one-minute bars that end with the bar 19:30-19:31.
func minuteBars(id *commonv1.SecurityId, n int) *barsv1.BarBatch {
	batch := &barsv1.BarBatch{}
	for i := range n {
		end := clock(19, 31, 0, 0).Add(time.Duration(i-n+1) * time.Minute)
		base := int64(1923450 + i*37%9000)
		batch.Bars = append(batch.Bars, &barsv1.Bar{
			Security: id, Start: at(end.Add(-time.Minute)), End: at(end),
			Open: decimal(base, 4), High: decimal(base+2150, 4), Low: decimal(base-1250, 4), Close: decimal(base+650, 4),
			Vwap: decimal(base+655, 4), Volume: int64(184230 + i*911%5000), TradeCount: int64(1432 + i%97),
			Adjusted: true, AdjustmentPolicy: commonv1.AdjustmentPolicy_ADJUSTMENT_POLICY_SPLIT_DIVIDEND,
			EventTime: at(end), IngestTime: at(end.Add(time.Second)), AsOf: at(end.Add(time.Second)),
			Meta: meta("run_abc123", "yfinance-go", "ingest-1", "ampy.bars.v1"),
		})
	}
	return batch
}

func barSamples() []sample {
	return []sample{
		{
			path: "bars/typical", note: "Two adjusted one-minute bars (specification §14.1).",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: barFeed, run: "run_abc123",
			message: minuteBars(security("AAPL", "XNAS"), 2),
		},
		{
			path: "bars/minimal", note: "One bar with a security and nothing else; only the headers that must be there.",
			topic: "ampy.dev.bars.v1.XNAS.AAPL", producer: barFeed,
			message: &barsv1.BarBatch{Bars: []*barsv1.Bar{{Security: security("AAPL", "XNAS")}}},
			change:  func(_ *testing.T, e *ampybus.Envelope) { e.Headers.SchemaHash = "" },
		},
		{
			path: "bars/brk_b", note: "A symbol with a dot: the key of bars splits at the first dot, mic XNYS, symbol BRK.B.",
			topic: "ampy.prod.bars.v1.XNYS.BRK.B", producer: barFeed, run: "run_abc123",
			message: minuteBars(security("BRK.B", "XNYS"), 1),
		},
		{
			path: "bars/single_bar", note: "The type Bar itself, without a batch; negative and extreme decimals; no volume.",
			topic: "ampy.paper.bars.v1.XNYM.CL", producer: barFeed, run: "run_abc123",
			message: &barsv1.Bar{
				Security: security("CL", "XNYM"), Start: at(day), End: at(day.AddDate(0, 0, 1)),
				Open: decimal(-3763, 2), High: decimal(1<<63-1, 18), Low: decimal(-1<<63, 18), Close: decimal(0, 0),
				AdjustmentPolicy: commonv1.AdjustmentPolicy_ADJUSTMENT_POLICY_RAW, EventTime: at(day.AddDate(0, 0, 1)),
			},
		},
		{
			path: "bars/large_gzip", note: "780 bars, over 128 KiB: compressed with gzip. The .bin file holds the uncompressed bytes.",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: barFeed, run: "run_abc123",
			message: minuteBars(security("AAPL", "XNAS"), 780), change: compress,
		},
		{
			path: "bars/blob_pointer", note: "The payload is kept in an object store; the .bin file is the object. (Real ones are over 1 MiB.)",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: barFeed, run: "run_abc123",
			message: minuteBars(security("AAPL", "XNAS"), 60),
			change:  offload("s3://ampy-prod-blobs/bars/v1/XNAS.AAPL/2025-09-05.bin?versionId=3HL4kqtJvjVBH40Nrjfkd"),
		},
		{
			path: "bars/unknown_field", note: "A producer of a later schema: a field that this version does not know, kept behind the others.",
			topic: "ampy.prod.bars.v1.XNAS.AAPL", producer: barFeed, run: "run_abc123",
			message: withUnknownField(minuteBars(security("AAPL", "XNAS"), 1)),
			change:  func(_ *testing.T, e *ampybus.Envelope) { e.Headers.SchemaHash, e.Headers.SchemaVersion = "", "1.1.0" },
		},
	}
}

func withUnknownField(batch *barsv1.BarBatch) *barsv1.BarBatch {
	unknown := protowire.AppendTag(nil, 100, protowire.BytesType)
	batch.Bars[0].ProtoReflect().SetUnknown(protowire.AppendString(unknown, "session=regular"))
	return batch
}

func compress(t *testing.T, e *ampybus.Envelope) {
	t.Helper()
	packed, err := ampybus.Compress(e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	e.Headers.PayloadHash = ampybus.PayloadHash(e.Payload)
	e.Payload, e.Headers.ContentEncoding = packed, ampybus.EncodingGzip
}

func offload(ref string) func(*testing.T, *ampybus.Envelope) {
	return func(_ *testing.T, e *ampybus.Envelope) {
		h := &e.Headers
		h.BlobRef, h.BlobHash, h.BlobSize = ref, ampybus.PayloadHash(e.Payload), int64(len(e.Payload))
		e.Payload = nil
	}
}

func tickSamples() []sample {
	feed := meta("live_0912", "databento-cpp", "tick-ingest-3", "ampy.ticks.v1")
	trade := func(price, size int64, offset time.Duration) *ticksv1.TradeTick {
		seen := clock(19, 30, 12, 451_234_000).Add(offset)
		return &ticksv1.TradeTick{
			Security: security("MSFT", "XNAS"), Price: decimal(price, 4), Size: size, Venue: "XNAS",
			EventTime: at(seen), IngestTime: at(seen.Add(10866 * time.Microsecond)), Meta: feed,
		}
	}
	choice := func(t *ticksv1.TradeTick) *ticksv1.Tick { return &ticksv1.Tick{Kind: &ticksv1.Tick_Trade{Trade: t}} }
	const producer = "databento-cpp@tick-ingest-3"
	return []sample{
		{
			path: "ticks/typical", note: "One trade (specification §14.2).",
			topic: "ampy.prod.ticks.v1.trade.MSFT", producer: producer, run: "live_0912",
			produced: clock(19, 30, 12, 462_000_000), message: trade(4275150, 100, 0),
		},
		{
			path: "ticks/minimal", note: "A trade with a security and nothing else.",
			topic: "ampy.dev.ticks.v1.trade.MSFT", producer: producer,
			message: &ticksv1.TradeTick{Security: security("MSFT", "XNAS")},
		},
		{
			path: "ticks/quote", note: "A quote of a symbol with a dot: the key BRK.B.XNYS splits at the last dot. One side is empty.",
			topic: "ampy.prod.ticks.v1.quote.BRK.B", producer: producer, run: "live_0912",
			message: &ticksv1.QuoteTick{
				Security: security("BRK.B", "XNYS"), Bid: decimal(4980100, 4), BidSize: 3, Venue: "NBBO",
				EventTime: at(clock(19, 30, 12, 1)), IngestTime: at(clock(19, 30, 12, 999_999_999)), Meta: feed,
			},
		},
		{
			path: "ticks/batch", note: "Three trades of one security in a TickBatch; two of them are equal.",
			topic: "ampy.prod.ticks.v1.trade.MSFT", producer: producer, run: "live_0912",
			message: &ticksv1.TickBatch{Ticks: []*ticksv1.Tick{
				choice(trade(4275150, 100, 0)), choice(trade(4275150, 100, 0)), choice(trade(4275200, 1, time.Microsecond)),
			}},
		},
		{
			path: "ticks/odd_symbol", note: "An index symbol with a caret; a price of zero with an explicit scale.",
			topic: "ampy.prod.ticks.v1.trade.^GSPC", producer: producer, run: "live_0912",
			message: &ticksv1.TradeTick{Security: security("^GSPC", "XNYS"), Price: decimal(0, 2), EventTime: at(clock(19, 30, 0, 0))},
		},
	}
}

func newsSamples() []sample {
	item := func(id string) *newsv1.NewsItem {
		return &newsv1.NewsItem{
			Id: id, Source: "marketbeat", Url: "https://example.com/amzn",
			Headline: "Amazon Raises FY Guidance; Shares Tick Higher", Body: "Amazon announced...",
			Tickers: []string{"AMZN", "QQQ"}, SentimentScoreBp: 240,
			PublishedAt: at(clock(13, 5, 11, 0)), IngestTime: at(clock(13, 5, 15, 0)),
			Meta: meta("news_live_37", "marketbeat-go", "news-2", "ampy.news.v1"),
		}
	}
	const producer = "marketbeat-go@news-2"
	return []sample{
		{
			path: "news/typical", note: "One item (specification §14.3); the id is also the dedupe key.",
			topic: "ampy.prod.news.v1.raw", producer: producer, run: "news_live_37",
			produced: clock(13, 5, 15, 0), message: item("marketbeat:2025-09-05:amzn-headline-8b12c6"),
		},
		{
			path: "news/minimal", note: "An id and nothing else.",
			topic: "ampy.dev.news.v1.raw", producer: producer, message: &newsv1.NewsItem{Id: "rss:1"},
		},
		{
			path: "news/nlp_unicode", note: "After language processing: text beyond ASCII, a negative sentiment, no ticker.",
			topic: "ampy.prod.news.v1.nlp", producer: "nlp-processor@nlp-1", run: "nlp_12",
			message: &newsv1.NewsItem{
				Id: "rss:2025-09-05:toyota-1", Source: "rss", Headline: "トヨタ、通期予想を下方修正 – Börse reagiert 📉",
				Body: "line one\nline two\t\"quoted\" \\ <b>&amp;</b>\u2028", SentimentScoreBp: -10000, PublishedAt: at(clock(0, 0, 0, 0)),
			},
		},
		{
			path: "news/batch", note: "Two items in one message: the producer names the key, and there is no dedupe key.",
			topic: "ampy.prod.news.v1.raw", producer: producer, run: "news_live_37", key: "marketbeat:2025-09-05:batch-17",
			message: &newsv1.NewsBatch{Items: []*newsv1.NewsItem{item("marketbeat:1"), item("marketbeat:2")}},
		},
	}
}

func fxSamples() []sample {
	rate := func(base, quote string, mid int64, scale int32) *fxv1.FxRate {
		return &fxv1.FxRate{
			Pair: &fxv1.Pair{Base: base, Quote: quote}, Bid: decimal(mid-4000, scale), Ask: decimal(mid+4000, scale), Mid: decimal(mid, scale),
			AsOf: at(clock(19, 30, 0, 0)), Meta: meta("fx_145", "fxrates-go", "fx-1", "ampy.fx.v1"),
		}
	}
	const producer = "fxrates-go@fx-1"
	return []sample{
		{
			path: "fx/typical", note: "One pair on the topic of all rates (specification §14.4).",
			topic: "ampy.prod.fx.v1.rates", producer: producer, run: "fx_145",
			produced: clock(19, 30, 0, 0), message: rate("USD", "JPY", 147234000, 6),
		},
		{
			path: "fx/minimal", note: "A pair on its own topic and nothing else. Without as_of there is no dedupe key.",
			topic: "ampy.dev.fx.v1.USD.JPY", producer: producer,
			message: &fxv1.FxRate{Pair: &fxv1.Pair{Base: "USD", Quote: "JPY"}},
		},
		{
			path: "fx/mixed_batch", note: "Several pairs on the topic of all rates: the producer names the key.",
			topic: "ampy.prod.fx.v1.rates", producer: producer, run: "fx_145", key: "snapshot",
			message: &fxv1.FxRateBatch{Rates: []*fxv1.FxRate{
				rate("EUR", "USD", 1171300, 6), rate("USD", "KRW", 1389450000, 6), rate("BTC", "USDT", 111234567890, 6),
			}},
		},
		{
			path: "fx/small_scale", note: "A rate with 18 decimal places, the largest scale.",
			topic: "ampy.prod.fx.v1.SHIB.BTC", producer: producer, run: "fx_145", message: rate("SHIB", "BTC", 110234567, 18),
		},
	}
}
