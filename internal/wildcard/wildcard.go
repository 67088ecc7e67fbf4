// Package wildcard matches topics with patterns: tokens between dots, of which
// "*" stands for one token and a final ">" for one or more. It knows nothing of
// environments and domains, so the bus and its bindings share one meaning.
package wildcard

import (
	"fmt"
	"strings"
)

// Check refuses a pattern that can match no topic.
func Check(p string) error {
	for rest, more := p, true; more; {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		if token == "" {
			return fmt.Errorf("pattern %q has an empty token", p)
		}
		if token == ">" && more {
			return fmt.Errorf("pattern %q goes on behind \">\"; use \"*\" for one token", p)
		}
	}
	return nil
}

// Match reports whether p selects topic. It does not allocate.
func Match(p, topic string) bool {
	for {
		want, wants, more := strings.Cut(p, ".")
		if want == ">" {
			return topic != ""
		}
		token, tokens, left := strings.Cut(topic, ".")
		if token == "" || want != "*" && want != token || more != left {
			return false
		}
		if !more {
			return true
		}
		p, topic = wants, tokens
	}
}

// Reaches reports whether p may select topics that are longer than prefix and
// begin with its tokens.
func Reaches(p, prefix string) bool {
	for more := true; more; {
		var token, want string
		token, prefix, more = strings.Cut(prefix, ".")
		var wants bool
		want, p, wants = strings.Cut(p, ".")
		if want == ">" {
			return true
		}
		if want != "*" && want != token || !wants {
			return false
		}
	}
	return true
}
