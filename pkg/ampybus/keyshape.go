package ampybus

import "strings"

// A keyVerdict says how a partition key stands to its subtopic.
type keyVerdict uint8

const (
	keyFits keyVerdict = iota
	// keyOdd: legal, and not as the specification writes it.
	keyOdd
	// keyMismatch: both are as the specification writes them and name
	// different things, so records would be ordered under a stranger's key.
	keyMismatch
)

func keyVerdictOf(shape KeyShape, subtopic, key string) keyVerdict {
	switch shape {
	case KeyIsSubtopic:
		return barsVerdict(subtopic, key)
	case KeySecurityOfKind:
		return ticksVerdict(subtopic, key)
	case KeyIsPair:
		return pairVerdict(subtopic, key)
	case KeyUnderSubtopic:
		return underVerdict(subtopic, key)
	case KeySecurity:
		return securityVerdict(subtopic, key)
	case KeySame:
		return fitsIf(key == subtopic)
	case KeyOfAccount:
		return fitsIf(strings.Contains(key, "|"))
	}
	return keyFits
}

func fitsIf(ok bool) keyVerdict {
	if ok {
		return keyFits
	}
	return keyOdd
}

// barsVerdict: XNAS.AAPL on XNAS.AAPL.
func barsVerdict(subtopic, key string) keyVerdict {
	subMIC, subSymbol, ok := SplitBarsKey(subtopic)
	ok = ok && isMIC(subMIC)
	if key == subtopic {
		return fitsIf(ok)
	}
	mic, _, isKey := SplitBarsKey(key)
	if !ok || !isKey || !isMIC(mic) || strings.Contains(key, "|") || isReverse(key, subMIC, subSymbol) {
		return keyOdd
	}
	return keyMismatch
}

// isReverse reports that key is symbol.mic.
func isReverse(key, mic, symbol string) bool {
	s, m, ok := SplitSecurityKey(key)
	return ok && s == symbol && m == mic
}

// ticksVerdict: MSFT.XNAS on trade.MSFT.
func ticksVerdict(subtopic, key string) keyVerdict {
	kind, wanted := cutToken(subtopic)
	symbol, mic, ok := SplitSecurityKey(key)
	if (kind != "trade" && kind != "quote") || wanted == "" || !ok || !isMIC(mic) || strings.Contains(key, "|") {
		return keyOdd
	}
	if symbol == wanted {
		return keyFits
	}
	if _, s, ok := SplitBarsKey(key); key == wanted || ok && s == wanted {
		return keyOdd
	}
	return keyMismatch
}

// pairVerdict: USD.JPY on USD.JPY, or on a word for all pairs.
func pairVerdict(subtopic, key string) keyVerdict {
	switch {
	case !isPair(key):
		return keyOdd
	case key == subtopic, !strings.Contains(subtopic, "."):
		return keyFits
	case isPair(subtopic):
		return keyMismatch
	}
	return keyOdd
}

// underVerdict: hyper@2025-09-05|NVDA.XNAS|5d on hyper@2025-09-05.
func underVerdict(subtopic, key string) keyVerdict {
	rest, ok := strings.CutPrefix(key, subtopic)
	switch {
	case ok && len(rest) > 1 && rest[0] == '|':
		return keyFits
	case strings.Contains(key, "|"):
		return keyMismatch
	}
	return keyOdd
}

// securityVerdict: AAPL.XNAS or AAPL.XNAS|... on XNAS.AAPL.
func securityVerdict(subtopic, key string) keyVerdict {
	security, _, _ := strings.Cut(key, "|")
	mic, symbol, ok := SplitBarsKey(subtopic)
	return fitsIf(ok && isReverse(security, mic, symbol))
}

// isMIC reports the form of a market identifier code (ISO 10383).
func isMIC(s string) bool {
	return len(s) == 4 && isUpperAlnum(s)
}

// isPair reports two currency codes, of fiat or crypto currencies.
func isPair(s string) bool {
	base, quote, ok := strings.Cut(s, ".")
	return ok && isCurrency(base) && isCurrency(quote)
}

func isCurrency(s string) bool { return len(s) >= 3 && len(s) <= 6 && isUpperAlnum(s) }

func isUpperAlnum(s string) bool {
	for i := range len(s) {
		if (s[i] < 'A' || s[i] > 'Z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}
