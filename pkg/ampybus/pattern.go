package ampybus

import (
	"strings"

	"github.com/AmpyFin/ampy-bus/internal/wildcard"
)

// Pattern selects topics: a topic whose tokens may be "*" (one token) and whose
// last may be ">" (one or more). The zero Pattern matches nothing.
type Pattern struct {
	text string
	wild bool
}

// Scope is one environment and domain that a pattern can touch.
type Scope struct{ Env, Domain string }

// ParsePattern reads a topic or a pattern. The error is a *FieldError for field
// "pattern".
func ParsePattern(s string) (Pattern, error) {
	if problem, fix := checkTopic(s, true); problem != "" {
		return Pattern{}, &FieldError{Field: "pattern", Value: s, Problem: problem, Fix: fix}
	}
	return Pattern{text: s, wild: strings.ContainsAny(s, "*>")}, nil
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// IsTopic reports that the pattern has no wildcard.
func (p Pattern) IsTopic() bool { return p.text != "" && !p.wild }

// Match reports whether topic is selected. It does not check that topic is
// legal, and does not allocate.
func (p Pattern) Match(topic string) bool {
	if !p.wild {
		return p.text != "" && p.text == topic
	}
	return wildcard.Match(p.text, topic)
}

// Scopes lists the environments and domains that the pattern can touch, with
// wildcards expanded over all of them.
func (p Pattern) Scopes() []Scope {
	if p.text == "" {
		return nil
	}
	tokens := strings.Split(p.text, ".")
	envs := expand(tokens, 1, envNames[:])
	domains := expand(tokens, 2, domainNames[:])
	scopes := make([]Scope, 0, len(envs)*len(domains))
	for _, env := range envs {
		for _, domain := range domains {
			scopes = append(scopes, Scope{Env: env, Domain: domain})
		}
	}
	return scopes
}

// expand is the names that token i stands for.
func expand(tokens []string, i int, all []string) []string {
	if i >= len(tokens) || tokens[i] == "*" || tokens[i] == ">" {
		return all
	}
	return tokens[i : i+1]
}
