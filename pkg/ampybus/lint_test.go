package ampybus

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func TestRecommendedEnvelopeHasNoLint(t *testing.T) {
	e := bars()
	e.Headers.RunID = "live_0912"
	if lints := e.Lint(); len(lints) > 0 {
		t.Errorf("lints %q", lints)
	}
}

func TestDeparturesAreLinted(t *testing.T) {
	bare := "sha256:" + strings.Repeat("ab", 32)
	for _, c := range []struct {
		name  string
		topic string
		set   func(h *Headers)
		lint  string
	}{
		{"subtopic of orders", "ampy.prod.orders.v1.submits", nil, "topic: the subtopic of orders is usually requests"},
		{"subtopic of ticks", "ampy.prod.ticks.v1.MSFT", nil, "topic: the subtopic of ticks is usually trade.{symbol} | quote.{symbol}"},
		{"subtopic of bars", "ampy.prod.bars.v1.AAPL", nil, "topic: the subtopic of bars is usually {mic}.{symbol}"},
		{"type of the specification", "ampy.prod.fills.v1.events", func(h *Headers) { h.SchemaFQDN = "ampy.fills.v1.Fill" }, "schema_fqdn: ampy.fills.v1.Fill is called ampy.fills.v1.FillEvent"},
		{"unknown type", "ampy.prod.bars.v1.XNAS.AAPL", func(h *Headers) { h.SchemaFQDN = "ampy.bars.v1.Candle" }, "schema_fqdn: not a known type of bars"},
		{"quote on trade", "ampy.prod.ticks.v1.trade.MSFT", func(h *Headers) { h.SchemaFQDN = "ampy.ticks.v1.QuoteTick" }, "schema_fqdn: usually on another subtopic, this one carries ampy.ticks.v1.TradeTick"},
		{"hash of a peer", "ampy.prod.bars.v1.XNAS.AAPL", func(h *Headers) { h.SchemaHash = bare }, "schema_hash: form of ampy-bus 1.x"},
		{"no dedupe key on orders", "ampy.prod.orders.v1.requests", nil, "dedupe_key: missing"},
		{"no dedupe key on news", "ampy.prod.news.v1.raw", nil, "dedupe_key: missing"},
		{"producer without instance", "ampy.prod.bars.v1.XNAS.AAPL", func(h *Headers) { h.Producer = "yfinance" }, "producer: usually service@instance"},
		{"no run", "ampy.prod.bars.v1.XNAS.AAPL", nil, "run_id: missing"},
		{"no trace", "ampy.prod.bars.v1.XNAS.AAPL", func(h *Headers) { h.Trace = TraceContext{} }, "traceparent: missing"},
		{"JSON", "ampy.prod.bars.v1.XNAS.AAPL", func(h *Headers) { h.ContentType = ContentTypeJSON }, "content_type: JSON"},
		{"numeric id like a card number", "ampy.prod.orders.v1.requests", func(h *Headers) { h.DedupeKey = "4111111111111111" }, "dedupe_key: may be personal data or a secret (rule card)"},
		{"id like an API key", "ampy.prod.orders.v1.requests", func(h *Headers) { h.DedupeKey = "PK0123456789ABCDEFGH" }, "dedupe_key: may be personal data or a secret (rule secret)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			topic, err := ParseTopic(c.topic)
			if err != nil {
				t.Fatal(err)
			}
			policy, _ := PolicyFor(topic.Domain)
			e := on(c.topic, policy.SchemaFor(topic.Subtopic), "key")
			if c.set != nil {
				c.set(&e.Headers)
			}
			if err := e.Validate(); err != nil {
				t.Errorf("a departure is legal: %v", err)
			}
			if lints := strings.Join(e.Lint(), "\n"); !strings.Contains(lints, c.lint) {
				t.Errorf("lints %q, want %q", lints, c.lint)
			}
		})
	}
}

func TestLintOfAnIllegalTopicIsEmpty(t *testing.T) {
	if lints := (Envelope{Topic: "nonsense"}).Lint(); lints != nil {
		t.Errorf("lints %q", lints)
	}
}

func TestPersonalDataAndSecretsAreRefused(t *testing.T) {
	set := map[string]func(h *Headers, v string){
		HeaderProducer:     func(h *Headers, v string) { h.Producer = v },
		HeaderSource:       func(h *Headers, v string) { h.Source = v },
		HeaderRunID:        func(h *Headers, v string) { h.RunID = v },
		HeaderPartitionKey: func(h *Headers, v string) { h.PartitionKey = v },
		HeaderDedupeKey:    func(h *Headers, v string) { h.DedupeKey = v },
		"headers":          func(h *Headers, v string) { h.Extra = []driver.Header{{Name: "x-note", Value: v}} },
	}
	for _, c := range []struct{ field, value string }{
		{HeaderPartitionKey, "jane.doe@example.com"},
		{HeaderDedupeKey, "order:jane_doe+x@mail.example.co.uk:1"},
		{HeaderRunID, "bob@example.org"},
		{"headers", "ask jane.doe@example.com."},
		{HeaderPartitionKey, "123-45-6789"},
		{HeaderProducer, "client_123-45-6789"},
		{"headers", "ssn 078-05-1120, confirmed"},
		{HeaderPartitionKey, "4111-1111-1111-1111"},
		{HeaderDedupeKey, "card:4111 1111 1111 1111"},
		{HeaderDedupeKey, "3782-822463-10005"},
		{HeaderProducer, "4111111111111111"},
		{"headers", "card 4111111111111111 refused"},
		{"headers", "5555555555554444"},
		{"headers", "call +491701234567"},
		{"headers", "call 212-555-0123 now"},
		{HeaderPartitionKey, "DE89370400440532013000"},
		{"headers", "to GB82 WEST 1234 5698 7654 32 please"},
		{HeaderSource, "AKIAIOSFODNN7EXAMPLE"},
		{"headers", "-----BEGIN PRIVATE KEY-----"},
		{"headers", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"},
		{"headers", "ghp_0123456789abcdefghijABCDEFGHIJ012345"},
		{"headers", "xoxb-123456789012-abcdef"},
		{"headers", "PK0123456789ABCDEFGH"},
		{"headers", "Authorization: Bearer abcdefgh12345678"},
		{HeaderRunID, "password=hunter2"},
		{"headers", "API_KEY : abc123"},
		{HeaderSource, "https://user:pass@feed.example.com/x"},
		{"headers", "https://api.example.com/v1?symbol=A&token=abc"},
		{"headers", "https://b.example.com/k?X-Amz-Signature=0a1b2c"},
	} {
		t.Run(c.field+"="+c.value, func(t *testing.T) {
			e := on("ampy.prod.orders.v1.requests", "ampy.orders.v1.OrderRequest", "co_1")
			set[c.field](&e.Headers, c.value)
			err := e.Validate()
			checkReasons(t, err, "pii")
			fe := FieldErrors(err)
			if len(fe) == 1 && (fe[0].Field != c.field || fe[0].Value != "" || strings.Contains(err.Error(), c.value)) {
				t.Errorf("field %s, value %q, text %q", fe[0].Field, fe[0].Value, err)
			}
		})
	}
}

func TestHeaderNamesThatAnnouncePersonalDataAreRefused(t *testing.T) {
	for _, name := range []string{"email", "x-customer-email", "X-Phone", "ssn", "x_card", "x-auth-token", "password"} {
		e := bars()
		e.Headers.Extra = []driver.Header{{Name: name, Value: "x"}}
		checkReasons(t, e.Validate(), "pii")
	}
	for _, name := range []string{"x-emailed", "x-cardinality", "x-team", "x-tokens"} {
		e := bars()
		e.Headers.Extra = []driver.Header{{Name: name, Value: "x"}}
		checkReasons(t, e.Validate())
	}
}

func TestNumericIDsInOtherHeadersAreOnlySuspected(t *testing.T) {
	for _, name := range []string{"x-venue-order-id", "exec_ID", "x.seq", "id"} {
		e := bars()
		e.Headers.Extra = []driver.Header{{Name: name, Value: "4111111111111111"}}
		checkReasons(t, e.Validate())
		if lints := strings.Join(e.Lint(), "\n"); !strings.Contains(lints, "(rule card)") {
			t.Errorf("%s: lints %q", name, lints)
		}
	}
}

// A rule that refuses one id in a thousand stops trading at random.
func TestRandomMachineIDsAreNeverRefused(t *testing.T) {
	var r *rand.Rand
	const base36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	kinds := map[string]func() string{
		"UUID":        func() string { return formatID(r.Uint64()>>4, r.Uint64()) },
		"32 hex":      func() string { return fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()) },
		"nanoseconds": func() string { return strconv.FormatInt(1_600_000_000_000_000_000+r.Int64N(4e17), 10) },
		"16 digits":   func() string { return fmt.Sprintf("%016d", r.Int64N(1e16)) },
		"19 digits":   func() string { return strconv.FormatInt(1e18+r.Int64N(8e18), 10) },
		"20 of base 36": func() string {
			b := make([]byte, 20)
			for i := range b {
				b[i] = base36[r.IntN(36)]
			}
			return string(b)
		},
		"date and number": func() string { return fmt.Sprintf("co_2025%02d%02d_%03d", 1+r.IntN(12), 1+r.IntN(28), r.IntN(1000)) },
		"account order":   func() string { return fmt.Sprintf("ACC-%d|%d", r.IntN(1e9), r.Int64N(1e15)) },
	}
	for name, next := range kinds {
		t.Run(name, func(t *testing.T) {
			r = rand.New(rand.NewPCG(1, 2))
			for range 20_000 {
				v := next()
				if rule, sure := personalRule(v, textID); rule != "" && sure {
					t.Fatalf("%s breaks rule %s", v, rule)
				}
			}
		})
	}
}

func TestPresignedBlobReferenceIsRefused(t *testing.T) {
	e := bars()
	e.Headers.BlobRef, e.Headers.BlobHash, e.Headers.BlobSize = "https://b.example.com/k?X-Amz-Signature=0a1b2c", PayloadHash(nil), 7
	checkReasons(t, e.Validate(), "pii")
}

func TestMachineIDsAreNotTakenForPersonalData(t *testing.T) {
	for _, v := range []string{
		"018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2", "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812",
		"1757100661123456789", "20250905193101123", "2025-09-05T19:31:01.123456789Z", "co_20250905_001",
		"marketbeat:2025-09-05:amzn-headline-8b12c6", "ALPACA-LIVE-01|co_20250905_001", "AAPL.XNAS|2025-06-30|tiingo",
		"US0378331005", "hyper@2025-09-05|NVDA.XNAS|5d", "yfinance-go@ingest-1", "svc@10.0.0.1", "oms@host-3:run-7",
		"123-45-67890", "0123-45-6789", "000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000",
		"4111111111111112", "order_4111111111111111_1", "1234567890123456", "DE89370400440532013001",
		"4111-1111-1111-1112", "1234-5678-9012-3452", "ATDA09641YZZ3KN92B79", "key=value", "token-bucket", "s3://bucket/key?versionId=3", "https://example.com/a?b=c", "passwords", "xoxo-hello-world",
	} {
		t.Run(v, func(t *testing.T) {
			e := on("ampy.prod.news.v1.raw", "ampy.news.v1.NewsItem", v)
			e.Headers.DedupeKey = v
			checkReasons(t, e.Validate())
		})
	}
}

func TestModelIDsMayLookLikeAddresses(t *testing.T) {
	e := on("ampy.prod.signals.v1.hyper@big.model", "ampy.signals.v1.Signal", "hyper@big.model|NVDA.XNAS")
	e.Headers.Producer, e.Headers.Source = "model-server@mdl.example", "mdl@zoo.example"
	checkReasons(t, e.Validate())
}
