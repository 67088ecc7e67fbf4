package membinding

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A log that does not overlap is never looked at: so whatever matches a pattern
// must be in a log that overlaps.
func TestWhatMatchesIsInALogThatOverlaps(t *testing.T) {
	token := rapid.SampledFrom([]string{"a", "b", "ab"})
	rapid.Check(t, func(t *rapid.T) {
		topic := rapid.SliceOfN(token, 4, 6).Draw(t, "topic")
		tokens := rapid.SliceOfN(rapid.OneOf(token, rapid.Just("*")), 1, 6).Draw(t, "pattern")
		if rapid.Bool().Draw(t, "open") {
			tokens = append(tokens, ">")
		}
		p, err := parsePattern(strings.Join(tokens, "."))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(topic, ".")
		if got, want := p.matches(text), model(tokens, topic); got != want {
			t.Fatalf("pattern %s matches %s: %v, want %v", p.text, text, got, want)
		}
		if p.matches(text) && !p.overlaps(logName(text)) {
			t.Fatalf("pattern %s matches %s and does not overlap %s", p.text, text, logName(text))
		}
	})
}

// model says token by token what a pattern means.
func model(pattern, topic []string) bool {
	if len(pattern) == 0 {
		return len(topic) == 0
	}
	if len(topic) == 0 {
		return false
	}
	if pattern[0] == ">" {
		return true
	}
	return (pattern[0] == "*" || pattern[0] == topic[0]) && model(pattern[1:], topic[1:])
}
