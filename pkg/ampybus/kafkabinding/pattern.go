package kafkabinding

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/AmpyFin/ampy-bus/internal/wildcard"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// logTokens is how many tokens of a bus topic name its Kafka topic in the
// domain layout: ampy, environment, domain, version.
const logTokens = 4

// maxTopicName is Kafka's own limit on the name of a topic.
const maxTopicName = 249

// kafkaTopic is the Kafka topic that holds a bus topic. It does not allocate.
func (l Layout) kafkaTopic(topic string) (string, error) {
	name := domainTopic(topic)
	if name == "" {
		return "", fmt.Errorf("%q is shorter than ampy.ENV.DOMAIN.VERSION.SUBTOPIC: %w", topic, driver.ErrNoLog)
	}
	if l == LayoutFull {
		name = topic
	}
	if len(name) > maxTopicName || !legal(name) {
		return "", fmt.Errorf("%q is no name for a Kafka topic (letters, digits, '.', '_' and '-'): use the domain layout (without layout=full), or another subtopic: %w: %w", name, driver.ErrConfig, driver.ErrNoLog)
	}
	return name, nil
}

func legal(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// domainTopic is the first four tokens of a topic that has more, or "".
func domainTopic(topic string) string {
	dots := 0
	for i := range len(topic) {
		if topic[i] != '.' {
			continue
		}
		if dots++; dots == logTokens && i+1 < len(topic) {
			return topic[:i]
		}
	}
	return ""
}

// pattern selects bus topics.
type pattern struct {
	text   string
	tokens []string
	whole  bool // every topic of a Kafka topic that it overlaps matches
}

func parsePattern(s string) (pattern, error) {
	if err := wildcard.Check(s); err != nil {
		return pattern{}, fmt.Errorf("%w: %w", driver.ErrConfig, err)
	}
	p := pattern{text: s, tokens: strings.Split(s, ".")}
	n := len(p.tokens)
	p.whole = n <= logTokens+1 && p.tokens[n-1] == ">"
	return p, nil
}

func (p pattern) matches(topic string) bool { return wildcard.Match(p.text, topic) }

// wants reports whether a record is one of the pattern's. A record that does not
// tell its bus topic goes under the name of its Kafka topic: patterns that want
// all of that get it, so that somebody finds it wrong.
func (p pattern) wants(topic string) bool {
	return p.matches(topic) || p.whole && p.covers(topic)
}

// covers reports whether a Kafka topic may hold bus topics that match: as a
// domain's topic, or as a bus topic of its own (the full layout).
func (p pattern) covers(kafkaTopic string) bool {
	if strings.Count(kafkaTopic, ".") != logTokens-1 {
		return p.matches(kafkaTopic)
	}
	return wildcard.Reaches(p.text, kafkaTopic)
}

// home is the one Kafka topic in which the layout puts all that p matches, or ""
// where there may be several.
func (p pattern) home(l Layout) string {
	name := domainTopic(p.text)
	if l == LayoutFull {
		name = p.text
	}
	if strings.ContainsAny(name, "*>") {
		return ""
	}
	return name
}

// regex matches the Kafka topics that the pattern covers.
func (p pattern) regex() string {
	var forms []string
	if domain := join(p.tokens, logTokens); len(p.tokens) > logTokens || p.tokens[len(p.tokens)-1] == ">" {
		forms = append(forms, domain)
	}
	full := join(p.tokens, len(p.tokens))
	if short := len(p.tokens) == logTokens && len(forms) == 0; !short && !slices.Contains(forms, full) {
		forms = append(forms, full)
	}
	return "^(?:" + strings.Join(forms, "|") + ")$"
}

// join makes a regular expression of the first n tokens; where ">" comes among
// them it stands for the rest.
func join(tokens []string, n int) string {
	var parts []string
	for i := range min(n, len(tokens)) {
		switch tok := tokens[i]; tok {
		case "*":
			parts = append(parts, `[^.]+`)
		case ">":
			parts = append(parts, `.+`)
		default:
			parts = append(parts, regexp.QuoteMeta(tok))
		}
	}
	return strings.Join(parts, `\.`)
}
