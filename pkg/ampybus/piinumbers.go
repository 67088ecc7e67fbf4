package ampybus

// cardGroups are the ways in which card numbers are written with separators.
var cardGroups = [...][]int{{4, 4, 4, 4}, {4, 6, 5}, {4, 6, 4}, {4, 4, 4, 4, 3}, {4, 4, 4, 1}}

// findCards finds card numbers written in groups and without separators.
func findCards(s string) (grouped, bare bool) {
	for i := 0; i+13 <= len(s); i++ {
		if !isDigit(s[i]) || !edgeBefore(s, i) {
			continue
		}
		for _, groups := range cardGroups {
			if end, ok := matchDigits(s, i, " -", groups...); ok && isCard(s[i:end]) {
				grouped = true
			}
		}
		end := i
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if edgeAfter(s, end) && isCard(s[i:end]) {
			bare = true
		}
	}
	return grouped, bare
}

// isCard checks issuer, length and Luhn digit of digits with separators.
func isCard(s string) bool {
	var digits [19]byte
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			continue
		}
		if n == len(digits) {
			return false
		}
		digits[n] = s[i] - '0'
		n++
	}
	return n >= 13 && isIssued(digits[:n]) && luhn(digits[:n])
}

// isIssued checks the issuer's prefix and the lengths that it uses.
func isIssued(d []byte) bool {
	n := len(d)
	prefix := 1000*int(d[0]) + 100*int(d[1]) + 10*int(d[2]) + int(d[3])
	switch two := prefix / 100; {
	case d[0] == 4: // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, prefix >= 2221 && prefix <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case two == 36, two == 38, prefix >= 3000 && prefix <= 3059: // Diners Club
		return n == 14
	case prefix >= 3528 && prefix <= 3589, two == 62, two == 65, prefix == 6011, prefix >= 6440 && prefix <= 6499: // JCB, UnionPay, Discover
		return n >= 16
	}
	return false
}

func luhn(d []byte) bool {
	sum := 0
	for i, double := len(d)-1, false; i >= 0; i, double = i-1, !double {
		x := int(d[i])
		if double {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return sum%10 == 0
}

// ibanLengths holds each country with the length of its IBAN.
const ibanLengths = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20ES24FI18FO18FR27GB22GE22GI23GL18" +
	"GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LI21LT20LU20LV21MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25" +
	"QA29RO24RS22SA24SC31SE24SI19SK24SM27TN24TR26UA29VA22VG24XK20"

func ibanLength(country string) int {
	for i := 0; i < len(ibanLengths); i += 4 {
		if ibanLengths[i:i+2] == country {
			return 10*int(ibanLengths[i+2]-'0') + int(ibanLengths[i+3]-'0')
		}
	}
	return 0
}

// hasIBAN finds account numbers, also written in groups of four.
func hasIBAN(s string) bool {
	for i := 0; i+15 <= len(s); i++ {
		if !isDigit(s[i+2]) || !isDigit(s[i+3]) || !edgeBefore(s, i) {
			continue
		}
		if want := ibanLength(s[i : i+2]); want > 0 && isIBAN(s[i:], want) {
			return true
		}
	}
	return false
}

func isIBAN(s string, want int) bool {
	var text [34]byte
	n, i := 0, 0
	for ; i < len(s) && n < want; i++ {
		switch c := s[i]; {
		case isDigit(c), 'A' <= c && c <= 'Z':
			text[n] = c
			n++
		case c != ' ':
			return false
		}
	}
	if n < want || i < len(s) && isAlnum(s[i]) {
		return false
	}
	rest := 0
	for k := range n {
		c := text[(k+4)%n]
		if isDigit(c) {
			rest = (10*rest + int(c-'0')) % 97
		} else {
			rest = (100*rest + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}
