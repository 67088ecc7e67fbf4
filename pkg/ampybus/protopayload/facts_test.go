package protopayload

import (
	"errors"
	"reflect"
	"testing"
	"time"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	actionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/corporate_actions/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	fundamentalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fundamentals/v1"
	fxv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fx/v1"
	metricsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/metrics/v1"
	newsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/news/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"
	ticksv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/ticks/v1"
	universev1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/universe/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
)

var (
	noon      = time.Date(2025, 9, 5, 12, 0, 0, 500_000_000, time.UTC)
	afterNoon = noon.Add(time.Minute)
	exDay     = time.Date(2025, 8, 15, 0, 0, 0, 0, time.UTC)
	pay       = time.Date(2025, 9, 1, 0, 0, 0, 0, time.UTC)
)

func at(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

func sec(symbol, mic string) *commonv1.SecurityId {
	return &commonv1.SecurityId{Symbol: symbol, Mic: mic}
}

func dec(scaled int64, scale int32) *commonv1.Decimal {
	return &commonv1.Decimal{Scaled: scaled, Scale: scale}
}

func topic(s string) ampybus.Topic {
	t, _ := ampybus.ParseTopic(s)
	return t
}

// One case per kind of record; a domain without one fails
// TestEveryDomainHasARowAndASchemaAndAKeyBuilder.
var factsCases = []struct {
	name, topic string
	payload     proto.Message
	want        Facts
}{
	{
		"bar", "", &barsv1.Bar{Security: sec("BRK.B", "XNYS"), EventTime: at(noon), AsOf: at(afterNoon), IngestTime: at(noon)},
		Facts{Subtopic: "XNYS.BRK.B", Key: "XNYS.BRK.B", EventTime: noon, AsOf: afterNoon, IngestTime: noon},
	},
	{
		"batch of bars", "", &barsv1.BarBatch{Bars: []*barsv1.Bar{
			{Security: sec("AAPL", "XNAS"), EventTime: at(afterNoon)}, {Security: sec("AAPL", "XNAS"), EventTime: at(noon)},
		}},
		Facts{Subtopic: "XNAS.AAPL", Key: "XNAS.AAPL", EventTime: afterNoon},
	},
	{
		"trade", "", &ticksv1.TradeTick{Security: sec("MSFT", "XNAS"), EventTime: at(noon), IngestTime: at(afterNoon)},
		Facts{Subtopic: "trade.MSFT", Key: "MSFT.XNAS", EventTime: noon, IngestTime: afterNoon, kind: "trade"},
	},
	{
		"quote", "", &ticksv1.QuoteTick{Security: sec("BRK.B", "XNYS")},
		Facts{Subtopic: "quote.BRK.B", Key: "BRK.B.XNYS", kind: "quote"},
	},
	{
		"tick in a batch", "ampy.dev.ticks.v1.trade.MSFT", &ticksv1.TickBatch{Ticks: []*ticksv1.Tick{
			{Kind: &ticksv1.Tick_Trade{Trade: &ticksv1.TradeTick{Security: sec("MSFT", "XNAS")}}},
		}},
		Facts{Subtopic: "trade.MSFT", Key: "MSFT.XNAS", kind: "trade"},
	},
	{
		"fundamentals", "", &fundamentalsv1.FundamentalsSnapshot{
			Security: sec("AAPL", "XNAS"), Source: "tiingo", AsOf: at(noon),
			Lines: []*fundamentalsv1.LineItem{{PeriodEnd: at(pay)}, {PeriodEnd: at(exDay)}},
		},
		Facts{
			Subtopic: "XNAS.AAPL", Key: "AAPL.XNAS|2025-09-01|tiingo",
			DedupeKey: "AAPL.XNAS|2025-09-01|tiingo|2025-09-05T12:00:00.5Z", EventTime: noon, AsOf: noon,
			Lints: []string{"lines of several periods; the latest is in the key"},
		},
	},
	{
		"news", "ampy.dev.news.v1.raw", &newsv1.NewsItem{Id: "n:1", PublishedAt: at(noon), IngestTime: at(afterNoon)},
		Facts{Key: "n:1", DedupeKey: "n:1", EventTime: noon, IngestTime: afterNoon},
	},
	{
		"rate", "ampy.dev.fx.v1.rates", &fxv1.FxRate{Pair: &fxv1.Pair{Base: "USD", Quote: "JPY"}, AsOf: at(noon), Meta: &commonv1.Meta{Source: "ecb"}},
		Facts{Subtopic: "rates", Key: "USD.JPY", DedupeKey: "USD.JPY|ecb|2025-09-05T12:00:00.5Z", EventTime: noon, AsOf: noon},
	},
	{
		"rate without a source", "", &fxv1.FxRate{Pair: &fxv1.Pair{Base: "USD", Quote: "JPY"}, AsOf: at(noon)},
		Facts{Subtopic: "USD.JPY", Key: "USD.JPY", EventTime: noon, AsOf: noon},
	},
	{
		"split", "", &actionsv1.CorporateAction{Action: &actionsv1.CorporateAction_Split{Split: &actionsv1.SplitAction{
			Security: sec("TSLA", "XNAS"), RatioNumerator: 3, RatioDenominator: 1, ExDate: at(exDay),
		}}},
		Facts{Subtopic: "XNAS.TSLA", Key: "TSLA.XNAS", DedupeKey: "split|TSLA.XNAS|2025-08-15|3:1", EventTime: exDay},
	},
	{
		"dividend", "", &actionsv1.DividendAction{
			Security: sec("KO", "XNYS"), ExDate: at(exDay), PayDate: at(pay),
			CashAmount: &commonv1.Money{Amount: dec(5100, 4), CurrencyCode: "USD"},
		},
		Facts{Subtopic: "XNYS.KO", Key: "KO.XNYS", DedupeKey: "dividend|KO.XNYS|2025-08-15|2025-09-01|0.51 USD", EventTime: exDay},
	},
	{
		"dividend without a pay date", "", &actionsv1.DividendAction{
			Security: sec("KO", "XNYS"), ExDate: at(exDay), CashAmount: &commonv1.Money{Amount: dec(1, 0), CurrencyCode: "USD"},
		},
		Facts{Subtopic: "XNYS.KO", Key: "KO.XNYS", DedupeKey: "dividend|KO.XNYS|2025-08-15|-|1 USD", EventTime: exDay},
	},
	{
		"universe", "", &universev1.UniverseSnapshot{UniverseId: "nasdaq100_2025w36", AsOf: at(exDay)},
		Facts{
			Subtopic: "nasdaq100_2025w36", Key: "nasdaq100_2025w36",
			DedupeKey: "nasdaq100_2025w36|2025-08-15T00:00:00Z", EventTime: exDay, AsOf: exDay,
		},
	},
	{
		"signal", "", &signalsv1.Signal{
			ModelId: "hyper@2025-09-05", Security: sec("NVDA", "XNAS"), Horizon: "5d",
			Type: commonv1.SignalType_SIGNAL_TYPE_ALPHA, GeneratedAt: at(exDay), ExpiresAt: at(pay),
		},
		Facts{
			Subtopic: "hyper@2025-09-05", Key: "hyper@2025-09-05|NVDA.XNAS|5d", CoarseKey: "hyper@2025-09-05|NVDA.XNAS",
			DedupeKey: "hyper@2025-09-05|NVDA.XNAS|5d|ALPHA|2025-08-15T00:00:00Z", EventTime: exDay, ExpiresAt: pay,
		},
	},
	{
		"order", "", &ordersv1.OrderRequest{AccountId: "A", ClientOrderId: "co_1", CreatedAt: at(noon)},
		Facts{Subtopic: "requests", Key: "co_1", DedupeKey: "co_1", EventTime: noon},
	},
	{
		"fill", "", &fillsv1.FillEvent{AccountId: "A", ClientOrderId: "co_1", BrokerOrderId: "b", EventTime: at(noon)},
		Facts{Subtopic: "events", Key: "A|co_1", EventTime: noon},
	},
	{
		"position", "", &positionsv1.PositionSnapshot{AccountId: "A", Security: sec("AAPL", "XNAS"), AsOf: at(noon)},
		Facts{Subtopic: "snapshots", Key: "A|AAPL.XNAS", DedupeKey: "A|AAPL.XNAS|2025-09-05T12:00:00.5Z", EventTime: noon, AsOf: noon},
	},
	{
		"metric", "ampy.dev.metrics.v1.ampy-oms", &metricsv1.Metric{Name: "oms.order_rejects", At: at(noon)},
		Facts{Subtopic: "ampy-oms", Key: "ampy-oms|oms.order_rejects", EventTime: noon},
	},
	{
		"replay request", "", &controlv1.ReplayRequest{
			RequestId: "r1", RequestedAt: at(noon),
			Scope: &controlv1.ReplayScope{Scope: &controlv1.ReplayScope_Topic{Topic: &controlv1.TopicScope{Domain: "bars", Subtopic: "XNAS.AAPL"}}},
		},
		Facts{Subtopic: "replay_requests", Key: "bars|XNAS.AAPL", DedupeKey: "r1", EventTime: noon},
	},
	{
		"replay request for a subject", "", &controlv1.ReplayRequest{
			RequestId: "r1", Scope: &controlv1.ReplayScope{Scope: &controlv1.ReplayScope_Subject{Subject: "ampy.prod.fills.v1.>"}},
		},
		Facts{Subtopic: "replay_requests", Key: "ampy.prod.fills.v1.>", DedupeKey: "r1"},
	},
	{
		"replay status", "", &controlv1.ReplayStatus{RequestId: "r1", AsOf: at(noon)},
		Facts{Subtopic: "replay_status", Key: "r1", EventTime: noon, AsOf: noon},
	},
	{
		"settlement", "", &controlv1.DeadLetterSettlement{Origin: "AMPY_PROD_DLQ:7", SettledAt: at(noon)},
		Facts{Subtopic: "dlq_settlements", Key: "AMPY_PROD_DLQ:7", EventTime: noon},
	},
}

func TestFactsAreThoseOfTheContract(t *testing.T) {
	for _, c := range factsCases {
		if got, err := FactsOf(topic(c.topic), c.payload); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", c.name, err, got, c.want)
		}
	}
}

func TestEveryDomainHasARowAndASchemaAndAKeyBuilder(t *testing.T) {
	keys := map[string]bool{}
	for _, c := range factsCases {
		keys[Domain(FQDN(c.payload))] = true
	}
	for _, domain := range ampybus.Domains() {
		if domain == ampybus.DomainDLQ {
			continue // carries the payloads of the others
		}
		policy, _ := ampybus.PolicyFor(domain)
		m, err := New(policy.DefaultSchema)
		if err != nil {
			t.Errorf("%s has no schema: %v", domain, err)
			continue
		}
		if r, err := rowFor(m); err != nil || r.domain != domain || r.describe == nil || r.batch == nil {
			t.Errorf("%s has no row: %v", domain, err)
		}
		if !keys[domain] {
			t.Errorf("%s has no case in factsCases that shows its key", domain)
		}
	}
}

func TestEveryPayloadTypeCanBeDescribed(t *testing.T) {
	for _, fqdn := range Schemas() {
		m, _ := New(fqdn)
		if _, err := FactsOf(ampybus.Topic{}, m); !errors.Is(err, ErrIncomplete) {
			t.Errorf("empty %s: %v", fqdn, err)
		}
	}
	if _, err := FactsOf(ampybus.Topic{}, &commonv1.Meta{}); !errors.Is(err, ErrUnknownSchema) {
		t.Errorf("got %v", err)
	}
}

func TestBatchRules(t *testing.T) {
	bar := func(symbol string) *barsv1.Bar { return &barsv1.Bar{Security: sec(symbol, "XNAS")} }
	trade := &ticksv1.Tick{Kind: &ticksv1.Tick_Trade{Trade: &ticksv1.TradeTick{Security: sec("A", "X")}}}
	quote := &ticksv1.Tick{Kind: &ticksv1.Tick_Quote{Quote: &ticksv1.QuoteTick{Security: sec("A", "X")}}}
	rate := func(quote string) *fxv1.FxRate { return &fxv1.FxRate{Pair: &fxv1.Pair{Base: "USD", Quote: quote}} }
	signal := func(model, symbol string) *signalsv1.Signal {
		return &signalsv1.Signal{ModelId: model, Security: sec(symbol, "X"), Horizon: "1d"}
	}
	for _, c := range []struct {
		name, topic string
		payload     proto.Message
		want        error
	}{
		{"bars of one security", "", &barsv1.BarBatch{Bars: []*barsv1.Bar{bar("A"), bar("A")}}, nil},
		{"bars of two", "", &barsv1.BarBatch{Bars: []*barsv1.Bar{bar("A"), bar("B")}}, ErrBatch},
		{"no bars", "", &barsv1.BarBatch{}, ErrIncomplete},
		{"a tick of no kind", "", &ticksv1.TickBatch{Ticks: []*ticksv1.Tick{{}}}, ErrIncomplete},
		{"trades and quotes", "", &ticksv1.TickBatch{Ticks: []*ticksv1.Tick{trade, quote}}, ErrBatch},
		{"a quote among trades", "ampy.dev.ticks.v1.trade.A", quote, ErrBatch},
		{"a quote among quotes", "ampy.dev.ticks.v1.quote.A", quote, nil},
		{"pairs on rates", "ampy.dev.fx.v1.rates", &fxv1.FxRateBatch{Rates: []*fxv1.FxRate{rate("JPY"), rate("EUR")}}, ErrMixedKeys},
		{"pairs on a pair", "ampy.dev.fx.v1.USD.JPY", &fxv1.FxRateBatch{Rates: []*fxv1.FxRate{rate("JPY"), rate("EUR")}}, ErrBatch},
		{"signals of one model", "", &signalsv1.SignalBatch{Signals: []*signalsv1.Signal{signal("m", "A"), signal("m", "B")}}, ErrMixedKeys},
		{"signals of two models", "", &signalsv1.SignalBatch{Signals: []*signalsv1.Signal{signal("m", "A"), signal("n", "A")}}, ErrBatch},
		{"two orders", "", &ordersv1.OrderRequestBatch{Orders: []*ordersv1.OrderRequest{{ClientOrderId: "a"}, {ClientOrderId: "a"}}}, ErrBatch},
		{"two news", "", &newsv1.NewsBatch{Items: []*newsv1.NewsItem{{Id: "a"}, {Id: "b"}}}, ErrMixedKeys},
		{"fills of two orders", "", &fillsv1.FillBatch{Fills: []*fillsv1.FillEvent{{AccountId: "a", ClientOrderId: "1"}, {AccountId: "a", ClientOrderId: "2"}}}, ErrBatch},
		{"a fill without order", "", &fillsv1.FillBatch{Fills: []*fillsv1.FillEvent{{AccountId: "a", ClientOrderId: "1"}, {AccountId: "a"}}}, ErrIncomplete},
		{"two metrics", "ampy.dev.metrics.v1.oms", &metricsv1.MetricBatch{Metrics: []*metricsv1.Metric{{Name: "a"}, {Name: "b"}}}, ErrMixedKeys},
		{"a metric of no service", "", &metricsv1.Metric{Name: "a"}, ErrIncomplete},
		{"a bar in a dead letter", "ampy.dev.dlq.v1.bars", bar("A"), nil},
	} {
		if _, err := FactsOf(topic(c.topic), c.payload); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestABatchOfSeveralRecordsHasNoDedupeKey(t *testing.T) {
	p := &positionsv1.PositionSnapshot{AccountId: "A", Security: sec("AAPL", "XNAS"), AsOf: at(noon)}
	one, _ := FactsOf(ampybus.Topic{}, &positionsv1.PositionBatch{Positions: []*positionsv1.PositionSnapshot{p}})
	two, err := FactsOf(ampybus.Topic{}, &positionsv1.PositionBatch{Positions: []*positionsv1.PositionSnapshot{p, p}})
	if one.DedupeKey == "" || two.DedupeKey != "" || two.Key == "" || err != nil {
		t.Errorf("one: %+v, two: %+v, %v", one, two, err)
	}
}

func TestNumbersInKeys(t *testing.T) {
	for want, d := range map[string]*commonv1.Decimal{
		"0":                     dec(0, 0),
		"0.24":                  dec(2400, 4),
		"-0.05":                 dec(-5, 2),
		"-12.5":                 dec(-125, 1),
		"100":                   dec(100, 0),
		"10":                    dec(1000, 2),
		"-9.223372036854775808": dec(-1<<63, 18),
		"":                      dec(1, 19),
	} {
		if got := number(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
	if number(nil) != "" {
		t.Error("an absent decimal is a number")
	}
}

// The two tables that describe a domain, this one and ampybus.Policy, agree on
// which times and keys its payloads have.
func TestFactsAgreeWithThePolicyTable(t *testing.T) {
	has := map[string]map[string]bool{}
	for _, c := range factsCases {
		domain := Domain(FQDN(c.payload))
		if has[domain] == nil {
			has[domain] = map[string]bool{}
		}
		for name, there := range map[string]bool{
			"event time": !c.want.EventTime.IsZero(), "as-of time": !c.want.AsOf.IsZero(), "ingest time": !c.want.IngestTime.IsZero(),
			"expiry": !c.want.ExpiresAt.IsZero(),
		} {
			has[domain][name] = has[domain][name] || there
		}
	}
	for domain, facts := range has {
		policy, _ := ampybus.PolicyFor(domain)
		for name, field := range map[string]string{
			"event time": policy.EventTime, "as-of time": policy.AsOf, "ingest time": policy.IngestTime, "expiry": policy.ExpiresAt,
		} {
			statusHasAsOf := domain == ampybus.DomainControl && name == "as-of time"
			if facts[name] != (field != "") && !statusHasAsOf {
				t.Errorf("%s: %s is %q in the policy table, derived: %t", domain, name, field, facts[name])
			}
		}
	}
}
