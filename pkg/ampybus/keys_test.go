package ampybus

import "testing"

// keyBuilders has a key of every domain, made by its builder. dlq keeps the
// key of the record.
var keyBuilders = map[string]string{
	DomainBars:             BarsKey("XNYS", "BRK.B"),
	DomainTicks:            SecurityKey("BRK.B", "XNYS"),
	DomainFundamentals:     FundamentalsKey("AAPL", "XNAS", "2025-06-30", "tiingo"),
	DomainNews:             NewsKey("marketbeat:1"),
	DomainFX:               FXKey("USD", "JPY"),
	DomainCorporateActions: SecurityKey("AAPL", "XNAS"),
	DomainUniverse:         UniverseKey("sp500"),
	DomainSignals:          SignalKey("hyper@2025-09-05", "NVDA", "XNAS", "5d"),
	DomainOrders:           OrderKey("co_20250905_001"),
	DomainFills:            FillKey("ALPACA-LIVE-01", "co_20250905_001"),
	DomainPositions:        PositionKey("ALPACA-LIVE-01", "AAPL", "XNAS"),
	DomainMetrics:          MetricKey("ampy-oms", "oms.order_rejects"),
	DomainDLQ:              BarsKey("XNAS", "AAPL"),
	DomainControl:          ReplayRequestKey("bars", "XNAS.AAPL"),
}

func TestEveryDomainHasAKeyBuilder(t *testing.T) {
	want := map[string]string{
		DomainBars: "XNYS.BRK.B", DomainTicks: "BRK.B.XNYS", DomainFundamentals: "AAPL.XNAS|2025-06-30|tiingo",
		DomainNews: "marketbeat:1", DomainFX: "USD.JPY", DomainCorporateActions: "AAPL.XNAS", DomainUniverse: "sp500",
		DomainSignals: "hyper@2025-09-05|NVDA.XNAS|5d", DomainOrders: "co_20250905_001",
		DomainFills: "ALPACA-LIVE-01|co_20250905_001", DomainPositions: "ALPACA-LIVE-01|AAPL.XNAS",
		DomainMetrics: "ampy-oms|oms.order_rejects", DomainDLQ: "XNAS.AAPL", DomainControl: "bars|XNAS.AAPL",
	}
	for _, domain := range Domains() {
		if keyBuilders[domain] == "" || keyBuilders[domain] != want[domain] {
			t.Errorf("%s: %q, want %q", domain, keyBuilders[domain], want[domain])
		}
	}
}

func TestOtherKeysAndSubtopics(t *testing.T) {
	for got, want := range map[string]string{
		SignalKey("m", "NVDA", "XNAS", ""): "m|NVDA.XNAS",
		ReplayRequestKey("bars", ""):       "bars|*",
		ReplayStatusKey("id"):              "id",
		TradeSubtopic("MSFT"):              "trade.MSFT",
		QuoteSubtopic("BRK.B"):             "quote.BRK.B",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSymbolsWithDotsSplitWhereTheDomainSays(t *testing.T) {
	for _, symbol := range []string{"AAPL", "BRK.B", "A.B.C", "^GSPC", "ES=F"} {
		if mic, s, ok := SplitBarsKey(BarsKey("XNYS", symbol)); !ok || mic != "XNYS" || s != symbol {
			t.Errorf("bars %s: %s, %s, %v", symbol, mic, s, ok)
		}
		if s, mic, ok := SplitSecurityKey(SecurityKey(symbol, "XNYS")); !ok || mic != "XNYS" || s != symbol {
			t.Errorf("security %s: %s, %s, %v", symbol, s, mic, ok)
		}
	}
	for _, key := range []string{"", "AAPL", ".AAPL", "XNAS.", "."} {
		if _, _, ok := SplitBarsKey(key); ok {
			t.Errorf("bars key %q", key)
		}
		if _, _, ok := SplitSecurityKey(key); ok {
			t.Errorf("security key %q", key)
		}
	}
}
