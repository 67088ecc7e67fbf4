package wildcard

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What does not reach a prefix is never looked for there: so whatever matches a
// topic must reach each prefix of it.
func TestWhatMatchesATopicReachesItsPrefixes(t *testing.T) {
	token := rapid.SampledFrom([]string{"a", "b", "ab"})
	rapid.Check(t, func(t *rapid.T) {
		topic := rapid.SliceOfN(token, 2, 6).Draw(t, "topic")
		tokens := rapid.SliceOfN(rapid.OneOf(token, rapid.Just("*")), 1, 6).Draw(t, "pattern")
		if rapid.Bool().Draw(t, "open") {
			tokens = append(tokens, ">")
		}
		p, text := strings.Join(tokens, "."), strings.Join(topic, ".")
		if err := Check(p); err != nil {
			t.Fatal(err)
		}
		if got, want := Match(p, text), model(tokens, topic); got != want {
			t.Fatalf("Match(%q, %q) is %v, want %v", p, text, got, want)
		}
		n := rapid.IntRange(1, len(topic)-1).Draw(t, "tokens of the prefix")
		if prefix := strings.Join(topic[:n], "."); Match(p, text) && !Reaches(p, prefix) {
			t.Fatalf("%q matches %q and does not reach %q", p, text, prefix)
		}
	})
}

func TestReachesWhatMayBeLongerOnly(t *testing.T) {
	for _, c := range []struct {
		pattern, prefix string
		want            bool
	}{
		{"ampy.>", "ampy.dev.orders", true},
		{"ampy.dev.*.v1", "ampy.dev.orders", true},
		{"ampy.dev.orders", "ampy.dev.orders", false},
		{"ampy.dev", "ampy.dev.orders", false},
		{"ampy.prod.>", "ampy.dev.orders", false},
	} {
		if got := Reaches(c.pattern, c.prefix); got != c.want {
			t.Errorf("Reaches(%q, %q) is %v", c.pattern, c.prefix, got)
		}
	}
}

func TestPatternsThatMatchNothingAreRefused(t *testing.T) {
	for _, p := range []string{"", ".", "ampy.", ".ampy", "ampy..dev", "ampy.>.orders"} {
		if Check(p) == nil {
			t.Errorf("Check(%q) accepts it", p)
		}
	}
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
