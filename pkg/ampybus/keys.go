package ampybus

import "strings"

// The builders below make subtopics and partition keys from their parts; they
// do not check them. Bars use mic.symbol, every other key symbol.mic, as the
// specification's examples do (§7 and §14). Symbols may hold dots: BRK.B.

// BarsKey is the key, and the subtopic, of bars: XNAS.AAPL.
func BarsKey(mic, symbol string) string { return mic + "." + symbol }

// SplitBarsKey is the reverse of BarsKey: it splits at the first dot.
func SplitBarsKey(key string) (mic, symbol string, ok bool) {
	mic, symbol, ok = strings.Cut(key, ".")
	return mic, symbol, ok && mic != "" && symbol != ""
}

// SecurityKey is the key of ticks and corporate actions, and part of others:
// AAPL.XNAS.
func SecurityKey(symbol, mic string) string { return symbol + "." + mic }

// SplitSecurityKey is the reverse of SecurityKey: it splits at the last dot.
func SplitSecurityKey(key string) (symbol, mic string, ok bool) {
	i := strings.LastIndexByte(key, '.')
	if i <= 0 || i == len(key)-1 {
		return "", "", false
	}
	return key[:i], key[i+1:], true
}

// TradeSubtopic is the subtopic of trade ticks: trade.MSFT.
func TradeSubtopic(symbol string) string { return "trade." + symbol }

// QuoteSubtopic is the subtopic of quote ticks: quote.MSFT.
func QuoteSubtopic(symbol string) string { return "quote." + symbol }

// FundamentalsKey is the key of fundamentals: AAPL.XNAS|2025-06-30|tiingo.
// periodEnd is YYYY-MM-DD, the latest of the lines.
func FundamentalsKey(symbol, mic, periodEnd, source string) string {
	return symbol + "." + mic + "|" + periodEnd + "|" + source
}

// FXKey is the key of rates, and the subtopic of one pair: USD.JPY.
func FXKey(base, quote string) string { return base + "." + quote }

// SignalKey is the key of signals: hyper@2025-09-05|NVDA.XNAS|5d. An empty
// horizon leaves the last part away, as specification §14.5 does.
func SignalKey(model, symbol, mic, horizon string) string {
	key := model + "|" + symbol + "." + mic
	if horizon != "" {
		key += "|" + horizon
	}
	return key
}

// NewsKey is the key of news: the item's id.
func NewsKey(id string) string { return id }

// UniverseKey is the key of universes: the universe's id.
func UniverseKey(universeID string) string { return universeID }

// OrderKey is the key of orders: the client order id, so that an order's
// submit, amend and cancel stay in order.
func OrderKey(clientOrderID string) string { return clientOrderID }

// FillKey is the key of fills: ALPACA-LIVE-01|co_20250905_001.
func FillKey(accountID, clientOrderID string) string { return accountID + "|" + clientOrderID }

// PositionKey is the key of positions: ALPACA-LIVE-01|AAPL.XNAS.
func PositionKey(accountID, symbol, mic string) string {
	return accountID + "|" + symbol + "." + mic
}

// MetricKey is the key of metrics: ampy-oms|oms.order_rejects.
func MetricKey(service, name string) string { return service + "|" + name }

// ReplayRequestKey is the key of a replay request; an empty subtopic means all.
func ReplayRequestKey(domain, subtopic string) string {
	if subtopic == "" {
		subtopic = "*"
	}
	return domain + "|" + subtopic
}

// ReplayStatusKey is the key of a replay status: the request's id.
func ReplayStatusKey(requestID string) string { return requestID }

// cutToken splits the first token off.
func cutToken(s string) (first, rest string) {
	first, rest, _ = strings.Cut(s, ".")
	return first, rest
}
