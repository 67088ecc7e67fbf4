package ampybus

import (
	"strconv"
	"strings"
)

// A textKind says what a header's value is for, and so which rules of the
// detector of personal data and secrets apply (specification §12).
type textKind uint8

const (
	// textFree is anything: every rule applies.
	textFree textKind = iota
	// textName is a service or system: names such as svc@host.example are no
	// e-mail addresses.
	textName
	// textID is a machine's id: among random 16-digit ids one in 40 passes for
	// a card number, so bare digits are only suspected.
	textID
	// textModelID is textID with model@version in it.
	textModelID
	// textRef is a reference to an object: only credentials are looked for.
	textRef
)

// personal refuses personal data and secrets in what an application sets. The
// match is never part of an error.
func (c *checker) personal(h *Headers, p *Policy) {
	eachText(h, p, c.proven, func(name, v string, kind textKind) {
		if rule, sure := personalRule(v, kind); rule != "" && sure {
			c.coded("pii", name, "", "looks like personal data or a secret (rule "+rule+")", "send an id that means nothing outside")
		}
	})
	for i := range h.Extra {
		if isPersonalName(h.Extra[i].Name) {
			c.coded("pii", "headers", "", strconv.QuoteToASCII(h.Extra[i].Name)+" names personal data or a secret (rule label_name)", "leave it away")
		}
	}
}

// lintPersonal names what is suspected but too often innocent to refuse.
func lintPersonal(h *Headers, p *Policy) (lints []string) {
	eachText(h, p, false, func(name, v string, kind textKind) {
		if rule, sure := personalRule(v, kind); rule != "" && !sure {
			lints = append(lints, name+": may be personal data or a secret (rule "+rule+")")
		}
	})
	return lints
}

// eachText leaves out who published it where that is proven.
func eachText(h *Headers, p *Policy, proven bool, f func(name, v string, kind textKind)) {
	key := textID
	if p != nil && p.ModelKeys {
		key = textModelID
	}
	if !proven {
		f(HeaderProducer, h.Producer, textName)
		f(HeaderSource, h.Source, textName)
		f(HeaderRunID, h.RunID, textID)
	}
	f(HeaderPartitionKey, h.PartitionKey, key)
	f(HeaderDedupeKey, h.DedupeKey, key)
	f(HeaderBlobRef, h.BlobRef, textRef)
	for i := range h.Extra {
		f("headers", h.Extra[i].Value, extraKind(h.Extra[i].Name))
	}
}

// extraKind takes a header whose name ends in id, key or seq for an id.
func extraKind(name string) textKind {
	switch last := name[strings.LastIndexAny(name, "-_.")+1:]; {
	case strings.EqualFold(last, "id"), strings.EqualFold(last, "key"), strings.EqualFold(last, "seq"):
		return textID
	}
	return textFree
}

// personalWords are parts of header names that announce what must not be there.
var personalWords = [...]string{"email", "phone", "ssn", "iban", "card", "cvv", "password", "passwd", "secret", "token", "authorization"}

func isPersonalName(name string) bool {
	for more := true; more; {
		var word string
		word, more = name, false
		if i := strings.IndexAny(name, "-_."); i >= 0 {
			word, name, more = name[:i], name[i+1:], true
		}
		for _, bad := range personalWords {
			if strings.EqualFold(word, bad) {
				return true
			}
		}
	}
	return false
}

// personalRule is the first rule that v breaks. sure is false where innocent
// values of this kind break it too often.
func personalRule(v string, kind textKind) (rule string, sure bool) {
	var digits, signs int
	at := false
	for i := range len(v) {
		switch c := v[i]; {
		case '0' <= c && c <= '9':
			digits++
		case c == '@':
			at = true
		case c == ':' || c == '=' || c == ' ':
			signs++
		}
	}
	switch {
	case signs > 0 && hasURLCredentials(v):
		return "url_credentials", true
	case len(v) >= 12 && hasSecret(v, signs > 0):
		return "secret", true
	case kind == textRef:
		return "", true
	case at && (kind == textFree || kind == textID) && hasEmail(v):
		return "email", true
	case digits >= 9 && hasSSN(v):
		return "ssn", true
	case digits >= 9 && kind == textFree && hasPhone(v):
		return "phone", true
	case digits >= 10 && hasIBAN(v):
		return "iban", true
	case digits >= 13:
		return cardRule(v, kind)
	}
	if len(v) == alpacaKeyLen && isAlpacaKey(v) {
		return "secret", kind != textID && kind != textModelID
	}
	return "", true
}

func cardRule(v string, kind textKind) (rule string, sure bool) {
	grouped, bare := findCards(v)
	switch {
	case grouped, bare && kind == textFree:
		return "card", true
	case bare && isDigits(v):
		return "card", kind == textName
	}
	return "", true
}

func isDigits(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil && s[0] != '+'
}
