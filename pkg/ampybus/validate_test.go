package ampybus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// bars is a legal envelope.
func bars() Envelope {
	return Envelope{
		Topic:   "ampy.prod.bars.v1.XNAS.AAPL",
		Headers: NewHeaders("ampy.bars.v1.BarBatch", "yfinance-go@ingest-1", "yfinance-go", "XNAS.AAPL"),
		Payload: []byte("payload"),
	}
}

func on(topic, schema, key string) Envelope {
	return Envelope{Topic: topic, Headers: NewHeaders(schema, "svc@1", "svc", key), Payload: []byte{1}}
}

// Every example of the specification: the commands and §14. lint is what Lint
// says about the key, where it says something.
var specified = []struct{ topic, schema, key, lint string }{
	{"ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v1.BarBatch", "XNAS.AAPL", ""},
	{"ampy.prod.ticks.v1.trade.MSFT", "ampy.ticks.v1.TradeTick", "MSFT.XNAS", ""},
	{"ampy.prod.fx.v1.USD.JPY", "ampy.fx.v1.FxRate", "USD.JPY", ""},
	{"ampy.prod.fx.v1.rates", "ampy.fx.v1.FxRate", "USD.JPY", ""},
	{"ampy.prod.signals.v1.hyper@2025-01-01", "ampy.signals.v1.Signal", "hyper@2025-01-01|NVDA.XNAS", ""},
	{"ampy.prod.signals.v1.hyper@2025-01-01", "ampy.signals.v1.Signal", "hyper@2025-01-01|NVDA.XNAS|5d", ""},
	{"ampy.prod.orders.v1.requests", "ampy.orders.v1.OrderRequest", "co_20250101_001", ""},
	{"ampy.paper.orders.v1.requests", "ampy.orders.v1.OrderRequest", "paper_order_001", ""},
	{"ampy.prod.fills.v1.events", "ampy.fills.v1.Fill", "fill_20250101_001", "usually"},
	{"ampy.prod.fills.v1.events", "ampy.fills.v1.FillEvent", "ALPACA-LIVE-01|co_20250905_001", ""},
	{"ampy.prod.positions.v1.snapshots", "ampy.positions.v1.Position", "portfolio_20250101", "usually"},
	{"ampy.prod.positions.v1.snapshots", "ampy.positions.v1.PositionSnapshot", "ALPACA-LIVE-01|AAPL.XNAS", ""},
	{"ampy.prod.news.v1.raw", "ampy.news.v1.NewsItem", "news_20250101_001", ""},
	{"ampy.prod.news.v1.nlp", "ampy.news.v1.NewsItem", "marketbeat:2025-09-05:amzn-headline-8b12c6", ""},
	{"ampy.prod.metrics.v1.ampy-oms", "ampy.metrics.v1.Metric", "metrics_20250101", "usually"},
	{"ampy.prod.metrics.v1.ampy-oms", "ampy.metrics.v1.Metric", "ampy-oms|oms.order_rejects", ""},
	{"ampy.prod.control.v1.replay_requests", "ampy.control.v1.ReplayRequest", "bars|XNAS.AAPL", ""},
	{"ampy.prod.fundamentals.v1.XNAS.AAPL", "ampy.fundamentals.v1.FundamentalsSnapshot", "AAPL.XNAS|2025-06-30|tiingo", ""},
	{"ampy.prod.corporate_actions.v1.XNYS.BRK.B", "ampy.corporate_actions.v1.SplitAction", "BRK.B.XNYS", ""},
	{"ampy.prod.universe.v1.sp500", "ampy.universe.v1.UniverseSnapshot", "sp500", ""},
	{"ampy.prod.bars.v1.XNYS.BRK.B", "ampy.bars.v1.Bar", "XNYS.BRK.B", ""},
	{"ampy.prod.ticks.v1.quote.BRK.B", "ampy.ticks.v1.QuoteTick", "BRK.B.XNYS", ""},
}

func TestExamplesOfTheSpecificationAreLegal(t *testing.T) {
	for _, c := range specified {
		t.Run(c.topic+" "+c.key, func(t *testing.T) {
			e := on(c.topic, c.schema, c.key)
			if err := e.Validate(); err != nil {
				t.Error(err)
			}
			lint := ""
			for _, l := range e.Lint() {
				if strings.HasPrefix(l, "partition_key: ") {
					lint = l
				}
			}
			if (lint == "") != (c.lint == "") || !strings.Contains(lint, c.lint) {
				t.Errorf("lint %q", lint)
			}
		})
	}
}

func TestKeyThatBelongsToAnotherSubtopicIsRefused(t *testing.T) {
	for _, c := range []struct {
		topic, schema, key string
		want               keyVerdict
	}{
		{"ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v1.BarBatch", "XNAS.MSFT", keyMismatch},
		{"ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v1.BarBatch", "XNYS.AAPL", keyMismatch},
		{"ampy.prod.bars.v1.XNYS.BRK.B", "ampy.bars.v1.BarBatch", "XNYS.BRK.A", keyMismatch},
		{"ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v1.BarBatch", "AAPL.XNAS", keyOdd},
		{"ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v1.BarBatch", "my-key", keyOdd},
		{"ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v1.BarBatch", "XNAS.AAPL|1m", keyOdd},
		{"ampy.prod.bars.v1.all", "ampy.bars.v1.BarBatch", "XNAS.AAPL", keyOdd},
		{"ampy.prod.bars.v1.all", "ampy.bars.v1.BarBatch", "all", keyOdd},
		{"ampy.prod.ticks.v1.trade.MSFT", "ampy.ticks.v1.TradeTick", "AAPL.XNAS", keyMismatch},
		{"ampy.prod.ticks.v1.quote.BRK.B", "ampy.ticks.v1.QuoteTick", "BRK.A.XNYS", keyMismatch},
		{"ampy.prod.ticks.v1.trade.MSFT", "ampy.ticks.v1.TradeTick", "XNAS.MSFT", keyOdd},
		{"ampy.prod.ticks.v1.trade.MSFT", "ampy.ticks.v1.TradeTick", "MSFT", keyOdd},
		{"ampy.prod.ticks.v1.trade.MSFT.XNAS", "ampy.ticks.v1.TradeTick", "MSFT.XNAS", keyOdd},
		{"ampy.prod.ticks.v1.imbalance.MSFT", "ampy.ticks.v1.Tick", "AAPL.XNAS", keyOdd},
		{"ampy.prod.fx.v1.USD.JPY", "ampy.fx.v1.FxRate", "EUR.USD", keyMismatch},
		{"ampy.prod.fx.v1.USD.JPY", "ampy.fx.v1.FxRate", "JPY.USD", keyMismatch},
		{"ampy.prod.fx.v1.USD.JPY", "ampy.fx.v1.FxRate", "usdjpy", keyOdd},
		{"ampy.prod.fx.v1.g10.majors", "ampy.fx.v1.FxRate", "USD.JPY", keyOdd},
		{"ampy.prod.signals.v1.hyper@2025-01-01", "ampy.signals.v1.Signal", "hyper@2025-01-02|NVDA.XNAS", keyMismatch},
		{"ampy.prod.signals.v1.hyper@2025-01-01", "ampy.signals.v1.Signal", "hyper@2025-01-01", keyOdd},
		{"ampy.prod.metrics.v1.ampy-oms", "ampy.metrics.v1.Metric", "ampy-pnl|x", keyMismatch},
		{"ampy.prod.universe.v1.sp500", "ampy.universe.v1.UniverseSnapshot", "nasdaq", keyOdd},
		{"ampy.prod.fundamentals.v1.XNAS.AAPL", "ampy.fundamentals.v1.FundamentalsSnapshot", "MSFT.XNAS|2025-06-30|x", keyOdd},
		{"ampy.prod.news.v1.raw", "ampy.news.v1.NewsItem", "anything at all", keyFits},
	} {
		t.Run(c.topic+" "+c.key, func(t *testing.T) {
			e := on(c.topic, c.schema, c.key)
			var want []string
			if c.want == keyMismatch {
				want = []string{"key_topic_mismatch"}
			}
			checkReasons(t, e.Validate(), want...)
			checkReasons(t, e.ValidateRead(), want...)
			odd := strings.Contains(strings.Join(e.Lint(), "\n"), "partition_key: the key on this subtopic is usually ")
			if odd != (c.want == keyOdd) {
				t.Errorf("lints %q", e.Lint())
			}
		})
	}
}

// Each row is a fault that an application makes, and the reason it is told.
func TestFaultyEnvelopesAreRefusedNamingTheField(t *testing.T) {
	const uuid = "018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2"
	hash := "sha256:" + strings.Repeat("ab", 32)
	extra := func(n int, name, value string) func(*Envelope) {
		return func(e *Envelope) {
			for i := range n {
				e.Headers.Extra = append(e.Headers.Extra, driver.Header{Name: name + strings.Repeat("x", i), Value: value})
			}
		}
	}
	for _, c := range []struct {
		name   string
		fault  func(e *Envelope)
		reason string
	}{
		{"topic with wildcard", func(e *Envelope) { e.Topic = "ampy.prod.bars.v1.*" }, "envelope:topic"},
		{"topic dlq", func(e *Envelope) { e.Topic = "ampy.prod.dlq.v1.bars" }, "envelope:topic"},
		{"topic header of another topic", func(e *Envelope) { e.Headers.Topic = "ampy.prod.bars.v1.XNAS.MSFT" }, "envelope:topic"},
		{"message_id missing", func(e *Envelope) { e.Headers.MessageID = "" }, "envelope:message_id"},
		{"message_id UUIDv4", func(e *Envelope) { e.Headers.MessageID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301" }, "envelope:message_id"},
		{"message_id in braces", func(e *Envelope) { e.Headers.MessageID = "{" + uuid + "}" }, "envelope:message_id"},
		{"message_id urn:", func(e *Envelope) { e.Headers.MessageID = "urn:uuid:" + uuid }, "envelope:message_id"},
		{"message_id without dashes", func(e *Envelope) { e.Headers.MessageID = strings.ReplaceAll(uuid, "-", "") }, "envelope:message_id"},
		{"message_id 37 characters", func(e *Envelope) { e.Headers.MessageID = uuid + "0" }, "envelope:message_id"},
		{"message_id nil", func(e *Envelope) { e.Headers.MessageID = "00000000-0000-0000-0000-000000000000" }, "envelope:message_id"},
		{"message_id max", func(e *Envelope) { e.Headers.MessageID = "ffffffff-ffff-ffff-ffff-ffffffffffff" }, "envelope:message_id"},
		{"message_id upper case", func(e *Envelope) { e.Headers.MessageID = strings.ToUpper(uuid) }, "envelope:message_id"},
		{"schema_fqdn empty", func(e *Envelope) { e.Headers.SchemaFQDN = "" }, "envelope:schema_fqdn"},
		{"schema_fqdn ampy..X", func(e *Envelope) { e.Headers.SchemaFQDN = "ampy..X" }, "envelope:schema_fqdn"},
		{"schema_fqdn ../x", func(e *Envelope) { e.Headers.SchemaFQDN = "../x" }, "envelope:schema_fqdn"},
		{"schema_fqdn 300 characters", func(e *Envelope) { e.Headers.SchemaFQDN = "ampy.bars.v1." + strings.Repeat("X", 287) }, "envelope:schema_fqdn"},
		{"schema_fqdn of another domain", func(e *Envelope) { e.Headers.SchemaFQDN = "ampy.orders.v1.OrderRequest" }, "envelope:schema_fqdn"},
		{"schema_fqdn of no domain", func(e *Envelope) { e.Headers.SchemaFQDN = "google.protobuf.Empty" }, "envelope:schema_fqdn"},
		{"schema_fqdn of another owner", func(e *Envelope) { e.Headers.SchemaFQDN = "acme.bars.v1.BarBatch" }, "envelope:schema_fqdn"},
		{"schema_fqdn without type", func(e *Envelope) { e.Headers.SchemaFQDN = "ampy.bars.v1" }, "envelope:schema_fqdn"},
		{"schema v2 on v1 topic", func(e *Envelope) { e.Headers.SchemaFQDN = "ampy.bars.v2.BarBatch" }, "envelope:schema_fqdn"},
		{"schema_version 1.0", func(e *Envelope) { e.Headers.SchemaVersion = "1.0" }, "envelope:schema_version"},
		{"schema_version 01.0.0", func(e *Envelope) { e.Headers.SchemaVersion = "01.0.0" }, "envelope:schema_version"},
		{"schema_version 1.0.0-x", func(e *Envelope) { e.Headers.SchemaVersion = "1.0.0-x" }, "envelope:schema_version"},
		{"schema_version v1.0.0", func(e *Envelope) { e.Headers.SchemaVersion = "v1.0.0" }, "envelope:schema_version"},
		{"schema_version missing", func(e *Envelope) { e.Headers.SchemaVersion = "" }, "envelope:schema_version"},
		{"schema_hash unknown form", func(e *Envelope) { e.Headers.SchemaHash = "md5:12" }, "envelope:schema_hash"},
		{"content_type text/html", func(e *Envelope) { e.Headers.ContentType = "text/html" }, "envelope:content_type"},
		{"content_type missing", func(e *Envelope) { e.Headers.ContentType = "" }, "envelope:content_type"},
		{"content_encoding br", func(e *Envelope) { e.Headers.ContentEncoding = "br" }, "decode:encoding"},
		{"content_encoding GZIP", func(e *Envelope) { e.Headers.ContentEncoding = "GZIP" }, "decode:encoding"},
		{"content_encoding gzip, gzip", func(e *Envelope) { e.Headers.ContentEncoding = "gzip, gzip" }, "decode:encoding"},
		{"produced_at missing", func(e *Envelope) { e.Headers.ProducedAt = time.Time{} }, "envelope:produced_at"},
		{"produced_at year 10000", func(e *Envelope) { e.Headers.ProducedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "envelope:produced_at"},
		{"produced_at year 0", func(e *Envelope) { e.Headers.ProducedAt = time.Date(0, 12, 31, 23, 59, 59, 0, time.UTC) }, "envelope:produced_at"},
		{"producer missing", func(e *Envelope) { e.Headers.Producer = "" }, "envelope:producer"},
		{"producer 257 bytes", func(e *Envelope) { e.Headers.Producer = strings.Repeat("p", 257) }, "envelope:producer"},
		{"producer with LF", func(e *Envelope) { e.Headers.Producer = "a\nb" }, "envelope:producer"},
		{"source missing", func(e *Envelope) { e.Headers.Source = "" }, "envelope:source"},
		{"source with NUL", func(e *Envelope) { e.Headers.Source = "a\x00" }, "envelope:source"},
		{"source with ESC", func(e *Envelope) { e.Headers.Source = "\x1b[2J" }, "envelope:source"},
		{"source with C1", func(e *Envelope) { e.Headers.Source = "a\u009b" }, "envelope:source"},
		{"source with bidi override", func(e *Envelope) { e.Headers.Source = "a\u202eb" }, "envelope:source"},
		{"source not ASCII", func(e *Envelope) { e.Headers.Source = "Börse" }, "envelope:source"},
		{"source invalid UTF-8", func(e *Envelope) { e.Headers.Source = "a\xff" }, "envelope:source"},
		{"run_id with a space at the end", func(e *Envelope) { e.Headers.RunID = "run " }, "envelope:run_id"},
		{"partition_key missing", func(e *Envelope) { e.Headers.PartitionKey = "" }, "envelope:partition_key"},
		{"partition_key 513 bytes", func(e *Envelope) { e.Headers.PartitionKey = strings.Repeat("k", 513) }, "envelope:partition_key"},
		{"partition_key of another subtopic", func(e *Envelope) { e.Headers.PartitionKey = "XNAS.MSFT" }, "key_topic_mismatch"},
		{"dedupe_key with trailing space", func(e *Envelope) { e.Headers.DedupeKey = "order-1 " }, "envelope:dedupe_key"},
		{"dedupe_key 513 bytes", func(e *Envelope) { e.Headers.DedupeKey = strings.Repeat("k", 513) }, "envelope:dedupe_key"},
		{"retry_count -1", func(e *Envelope) { e.Headers.RetryCount = -1 }, "envelope:retry_count"},
		{"retry_count over 32 bits", func(e *Envelope) { e.Headers.RetryCount = MaxRetryCount + 1 }, "envelope:retry_count"},
		{"payload_hash without algorithm", func(e *Envelope) { e.Headers.PayloadHash = strings.Repeat("ab", 32) }, "payload_hash"},
		{"dlq_reason", func(e *Envelope) { e.Headers.DLQ.Reason = "x" }, "forged_dlq_header"},
		{"dlq_topic", func(e *Envelope) { e.Headers.DLQ.Topic = "x" }, "forged_dlq_header"},
		{"dlq_group", func(e *Envelope) { e.Headers.DLQ.Group = "x" }, "forged_dlq_header"},
		{"dlq_attempts", func(e *Envelope) { e.Headers.DLQ.Attempts = 1 }, "forged_dlq_header"},
		{"dlq_at", func(e *Envelope) { e.Headers.DLQ.At = time.Now() }, "forged_dlq_header"},
		{"dlq_origin", func(e *Envelope) { e.Headers.DLQ.Origin = "x" }, "forged_dlq_header"},
		{"blob_ref without hash", func(e *Envelope) { e.Headers.BlobRef, e.Headers.BlobSize = "s3://b/k", 7 }, "blob_hash"},
		{"blob_size without ref", func(e *Envelope) { e.Headers.BlobSize = 7 }, "blob_ref"},
		{"blob_size negative", func(e *Envelope) { e.Headers.BlobRef, e.Headers.BlobHash, e.Headers.BlobSize = "s3://b/k", hash, -1 }, "blob_size"},
		{"blob_size 1 TiB", func(e *Envelope) { e.Headers.BlobRef, e.Headers.BlobHash, e.Headers.BlobSize = "s3://b/k", hash, 1<<40 }, "blob_size"},
		{"blob_ref with user", func(e *Envelope) {
			e.Headers.BlobRef, e.Headers.BlobHash, e.Headers.BlobSize = "https://u@h/k", hash, 7
		}, "blob_host"},
		{"header Nats-Rollup", extra(1, "Nats-Rollup", "all"), "envelope:headers"},
		{"header nats-ttl", extra(1, "nats-ttl", "1s"), "envelope:headers"},
		{"header NATS-Schedule", extra(1, "NATS-Schedule", "@at"), "envelope:headers"},
		{"header Nats-Expected-Stream", extra(1, "Nats-Expected-Stream", "S"), "envelope:headers"},
		{"header __TypeId__", extra(1, "__TypeId__", "x"), "envelope:headers"},
		{"header with a colon", extra(1, "x:y", "v"), "envelope:headers"},
		{"header without a name", extra(1, "", "v"), "envelope:headers"},
		{"header with CR LF", extra(1, "x\r\ny", "v"), "envelope:headers"},
		{"header Message_ID", extra(1, "Message_ID", "v"), "envelope:headers"},
		{"header partition_key", extra(1, "partition_key", "v"), "envelope:headers"},
		{"header dlq_reason", extra(1, "dlq_reason", "v"), "envelope:headers"},
		{"header DLQ_note", extra(1, "DLQ_note", "v"), "envelope:headers"},
		{"header Traceparent", extra(1, "Traceparent", "v"), "envelope:headers"},
		{"header value with LF", extra(1, "x-note", "a\nb"), "envelope:headers"},
		{"header value of 4097 bytes", extra(1, "x-note", strings.Repeat("v", 4097)), "envelope:headers"},
		{"33 unknown headers", extra(33, "x-", "v"), "envelope:headers"},
		{"header twice", func(e *Envelope) { extra(1, "x-a", "1")(e); extra(1, "x-a", "2")(e) }, "duplicate_header"},
		{"header block over 16 KiB", extra(4, "x-", strings.Repeat("v", 4096)), "envelope:headers"},
		{"payload over 64 MiB", func(e *Envelope) { e.Payload = make([]byte, MaxPayload+1) }, "envelope:payload"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := bars()
			c.fault(&e)
			checkReasons(t, e.Validate(), c.reason)
		})
	}
}

func TestHeaderOf70000BytesIsRefused(t *testing.T) {
	e := bars()
	e.Headers.Extra = []driver.Header{{Name: "x-note", Value: strings.Repeat("v", 70_000)}}
	checkReasons(t, e.Validate(), "envelope:headers", "envelope:headers")
}

func TestValidateReportsEveryFaultAtOnce(t *testing.T) {
	var e Envelope
	checkReasons(t, e.Validate(), "envelope:topic", "envelope:message_id", "envelope:produced_at", "envelope:schema_fqdn",
		"envelope:schema_version", "envelope:content_type", "envelope:producer", "envelope:source", "envelope:partition_key")
	if n := strings.Count(e.Validate().Error(), "\n"); n != 8 {
		t.Errorf("the text has %d line ends: %v", n, e.Validate())
	}
}

func TestValidateDoesNotAllocate(t *testing.T) {
	e := bars()
	e.Headers.DedupeKey, e.Headers.RunID = "bars-2025-09-05T19:31", "live_0912"
	e.Headers.Extra = []driver.Header{{Name: "x-team", Value: "data platform"}}
	for name, f := range map[string]func() error{"Validate": e.Validate, "ValidateInternal": e.ValidateInternal, "ValidateRead": e.ValidateRead} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { _ = f() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestLargestAllowedBlockFitsWhatTheBusAdds(t *testing.T) {
	e := bars()
	for i := range 3 {
		e.Headers.Extra = append(e.Headers.Extra, driver.Header{Name: fmt.Sprint("x-", i), Value: strings.Repeat("v", 4096)})
	}
	filler := 4096
	for e.Headers.Extra = append(e.Headers.Extra, driver.Header{Name: "x-f"}); ; filler-- {
		e.Headers.Extra[3].Value = strings.Repeat("v", filler)
		if e.Validate() == nil {
			break
		}
	}
	h := e.Headers
	h.Topic, h.ContentEncoding, h.RetryCount, h.ProducedAt = e.Topic, "gzip", MaxRetryCount, time.Now()
	h.PayloadHash = PayloadHash(nil)
	if n := headerBlockBytes(EncodeHeaders(h)); n > MaxHeaderBlock || n < MaxHeaderBlock-1024 {
		t.Errorf("%d bytes", n)
	}
}

func TestBusMayPublishWhatApplicationsMayNot(t *testing.T) {
	h, _, err := DecodeHeaders(with(with(wire(), "message_id", "3F2504E0-4F89-41D3-9A0C-0305E82C3301"), "producer", ""))
	if err != nil {
		t.Fatal(err)
	}
	h.DLQ = DLQInfo{Reason: "handler_failed: x", Topic: h.Topic, Group: "g", Attempts: 3, At: time.Now(), Origin: "S:1"}
	h.PartitionKey = "XNAS.MSFT"
	e := Envelope{Topic: "ampy.prod.dlq.v1.bars", Headers: h}
	if err := e.ValidateInternal(); err != nil {
		t.Error(err)
	}
	checkReasons(t, e.Validate(), "envelope:topic", "envelope:message_id", "envelope:producer")

	e.Topic = "ampy.prod.bars.v1.XNAS.MSFT"
	checkReasons(t, e.ValidateInternal(), "envelope:topic", "forged_dlq_header")
}

func TestReaderRefusesWhatDisagreesWithTheTopic(t *testing.T) {
	for _, c := range []struct{ topic, name, value, reason string }{
		{"ampy.prod.bars.v1.XNAS.AAPL", "dlq_reason", "handler_failed", "forged_dlq_header"},
		{"ampy.prod.bars.v1.XNAS.AAPL", "schema_fqdn", "ampy.bars.v2.BarBatch", "envelope:schema_fqdn"},
		{"ampy.prod.bars.v1.XNAS.AAPL", "schema_fqdn", "ampy.orders.v1.OrderRequest", "envelope:schema_fqdn"},
		{"ampy.prod.bars.v1.XNAS.AAPL", "partition_key", "XNAS.MSFT", "key_topic_mismatch"},
		{"ampy.prod.bars.v1.XNAS.AAPL", "topic", "ampy.prod.bars.v1.XNAS.MSFT", "envelope:topic"},
		{"ampy.prod.barz.v1.XNAS.AAPL", "topic", "", "envelope:topic"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			h, _, err := DecodeHeaders(with(wire(), c.name, c.value))
			if err != nil {
				t.Fatal(err)
			}
			checkReasons(t, Envelope{Topic: c.topic, Headers: h}.ValidateRead(), c.reason)
		})
	}
}

func TestDeadLetterMayCarryAnySchema(t *testing.T) {
	for _, schema := range []string{"ampy.bars.v1.BarBatch", "ampy.bars.v2.BarBatch", "acme.unknown.Type"} {
		h, _, err := DecodeHeaders(with(with(wire(), "schema_fqdn", schema), "dlq_reason", "decode_error: invalid decimal scale"))
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range []string{"ampy.prod.dlq.v1.bars", "ampy.prod.dlq.v1.ampy.prod.bars.v1.XNAS.AAPL"} {
			if err := (Envelope{Topic: topic, Headers: h}).ValidateRead(); err != nil {
				t.Errorf("%s on %s: %v", schema, topic, err)
			}
		}
	}
}
