package ampybus

import "strings"

// alpacaKeyLen is the length of an Alpaca key id: PK, AK or CK and 18 more.
const alpacaKeyLen = 20

func isAlpacaKey(s string) bool {
	return (s[0] == 'P' || s[0] == 'A' || s[0] == 'C') && s[1] == 'K' && isUpperAlnum(s)
}

// secretWords name a secret when = or : and a value follow.
var secretWords = [...]string{"password", "passwd", "pwd", "secret", "api_key", "apikey", "api-key", "access_token", "auth_token", "private_key"}

// hasSecret finds key material and what is written beside a secret's name.
// assigned says that s holds a sign that could assign one.
func hasSecret(s string, assigned bool) bool {
	if hasToken(s) {
		return true
	}
	if !assigned {
		return false
	}
	for _, word := range secretWords {
		if i := indexFold(s, word); i >= 0 {
			rest := strings.TrimLeft(s[i+len(word):], " ")
			if len(rest) > 1 && (rest[0] == '=' || rest[0] == ':') {
				return true
			}
		}
	}
	i := indexFold(s, "bearer ")
	return i >= 0 && len(s) >= i+len("bearer ")+8 && edgeBefore(s, i)
}

// hasToken finds tokens that say by their form what they are.
func hasToken(s string) bool {
	for i := 0; i+12 <= len(s); i++ {
		if !edgeBefore(s, i) && s[i] != '-' {
			continue
		}
		rest := s[i:]
		switch s[i] {
		case '-':
			if strings.HasPrefix(rest, "-----BEGIN ") {
				return true
			}
		case 'A':
			if len(rest) >= 20 && (rest[:4] == "AKIA" || rest[:4] == "ASIA") && isUpperAlnum(rest[:20]) && edgeAfter(rest, 20) {
				return true
			}
		case 'e':
			if strings.HasPrefix(rest, "eyJ") && strings.Contains(rest, ".eyJ") {
				return true
			}
		case 'g':
			if len(rest) >= 24 && rest[1] == 'h' && strings.IndexByte("pousr", rest[2]) >= 0 && rest[3] == '_' {
				return true
			}
		case 'x':
			if strings.HasPrefix(rest, "xox") && strings.IndexByte("abprs", rest[3]) >= 0 && rest[4] == '-' {
				return true
			}
		}
	}
	return false
}

// urlSecrets are query parameters that grant access by themselves.
var urlSecrets = [...]string{
	"token", "access_token", "apikey", "api_key", "key", "sig", "signature", "x-amz-signature", "x-amz-credential",
	"x-amz-security-token", "x-goog-signature", "x-goog-credential", "awsaccesskeyid", "password", "secret",
}

// hasURLCredentials finds scheme://user:pass@ and presigned or keyed queries.
func hasURLCredentials(s string) bool {
	_, rest, ok := strings.Cut(s, "://")
	if !ok {
		return false
	}
	authority, _, _ := strings.Cut(rest, "/")
	if user, _, ok := strings.Cut(authority, "@"); ok && strings.Contains(user, ":") {
		return true
	}
	_, query, ok := strings.Cut(rest, "?")
	for more := ok; more; {
		var pair string
		pair, query, more = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if value != "" && isURLSecret(name) {
			return true
		}
	}
	return false
}

func isURLSecret(name string) bool {
	for _, secret := range urlSecrets {
		if strings.EqualFold(name, secret) {
			return true
		}
	}
	return false
}

// indexFold is strings.Index for a lower-case word in either case.
func indexFold(s, word string) int {
	for i := 0; i+len(word) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(word)], word) {
			return i
		}
	}
	return -1
}
