package membinding

import (
	"fmt"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// pattern is a topic whose tokens may be "*" (one) and the last ">" (one or
// more). It knows nothing of environments and domains.
type pattern struct {
	text   string
	tokens []string
	plain  bool // no wildcard
}

func parsePattern(s string) (pattern, error) {
	p := pattern{text: s, tokens: strings.Split(s, "."), plain: true}
	for i, tok := range p.tokens {
		switch tok {
		case "":
			return pattern{}, fmt.Errorf("pattern %q has an empty token: %w", s, driver.ErrConfig)
		case ">":
			if i != len(p.tokens)-1 {
				return pattern{}, fmt.Errorf("pattern %q goes on behind \">\": %w", s, driver.ErrConfig)
			}
			p.plain = false
		case "*":
			p.plain = false
		}
	}
	return p, nil
}

func (p pattern) matches(topic string) bool {
	if p.plain {
		return topic == p.text
	}
	rest, more := topic, true
	for _, want := range p.tokens {
		if !more {
			return false
		}
		if want == ">" {
			return true
		}
		var tok string
		tok, rest, more = strings.Cut(rest, ".")
		if want != "*" && want != tok {
			return false
		}
	}
	return !more
}

// overlaps reports whether a log may hold topics that match.
func (p pattern) overlaps(logName string) bool {
	for i, tok := range strings.Split(logName, ".") {
		switch {
		case i >= len(p.tokens):
			return false
		case p.tokens[i] == ">":
			return true
		case p.tokens[i] != "*" && p.tokens[i] != tok:
			return false
		}
	}
	return len(p.tokens) > logTokens
}
