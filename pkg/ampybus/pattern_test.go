package ampybus

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPatternsSelectTopics(t *testing.T) {
	const aapl = "ampy.prod.bars.v1.XNAS.AAPL"
	for _, c := range []struct {
		pattern, topic string
		want           bool
	}{
		{"ampy.prod.bars.v1.XNAS.AAPL", aapl, true},
		{"ampy.prod.bars.v1.XNAS.AAP", aapl, false},
		{"ampy.prod.bars.v1.XNAS.*", aapl, true},
		{"ampy.prod.bars.v1.*", aapl, false},
		{"ampy.prod.bars.v1.*.*", aapl, true},
		{"ampy.prod.bars.v1.*.*.*", aapl, false},
		{"ampy.prod.bars.v1.>", aapl, true},
		{"ampy.prod.bars.v1.XNAS.>", aapl, true},
		{"ampy.prod.bars.v1.XNAS.AAPL.>", aapl, false},
		{"ampy.prod.bars.>", aapl, true},
		{"ampy.*.bars.*.>", aapl, true},
		{"ampy.>", aapl, true},
		{"ampy.paper.>", aapl, false},
		{"ampy.*.dlq.v1.>", "ampy.prod.dlq.v1.bars", true},
		{"ampy.prod.bars.v1.*.>", "ampy.prod.bars.v1.XNYS.BRK.B", true},
		{"ampy.prod.bars.v1.XNAS", aapl, false},
		{"ampy.prod.bars.v1.>", "ampy.prod.bars.v1", false},
		{"ampy.prod.bars.v1.>", "ampy.prod.bars.v1.", false},
		{"ampy.prod.bars.v1.>", "", false},
		{"ampy.prod.bars.v1.*", "ampy.prod.bars.v1.", false},
		{"ampy.prod.bars.v1.*.AAPL", "ampy.prod.bars.v1..AAPL", false},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if p.Match(c.topic) != c.want {
			t.Errorf("%s on %s: not %v", c.pattern, c.topic, c.want)
		}
		if p.String() != c.pattern || p.IsTopic() == strings.ContainsAny(c.pattern, "*>") {
			t.Errorf("%s: String %s, IsTopic %v", c.pattern, p, p.IsTopic())
		}
	}
}

func TestHostilePatternsAreRefusedNamingTheProblem(t *testing.T) {
	misplaced := []struct{ topic, problem string }{
		{"ampy.prod.>.v1.X", "wildcard"},
		{"ampy.prod.bars.v1.>.AAPL", "wildcard"},
		{"ampy.*", "subtopic"},
		{"ampy.*.*.*", "subtopic"},
		{"ampy.prod.bars.v1.**", "charset"},
		{"ampy.prod.bars.v1.>>", "charset"},
	}
	for _, c := range append(misplaced, hostileTopics...) {
		t.Run(c.topic, func(t *testing.T) {
			_, err := ParsePattern(c.topic)
			checkFieldError(t, err, "pattern", c.problem)
		})
	}
}

func TestZeroPatternMatchesNothing(t *testing.T) {
	var p Pattern
	if p.Match("") || p.Match("ampy.prod.bars.v1.X") || p.IsTopic() || p.Scopes() != nil {
		t.Error("the zero pattern selects something")
	}
}

func TestScopesExpandWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern string
		n       int
		first   Scope
	}{
		{"ampy.prod.bars.v1.>", 1, Scope{"prod", "bars"}},
		{"ampy.prod.bars.v1.XNAS.AAPL", 1, Scope{"prod", "bars"}},
		{"ampy.*.dlq.v1.>", 3, Scope{"dev", "dlq"}},
		{"ampy.prod.>", 14, Scope{"prod", "bars"}},
		{"ampy.paper.*.v1.x", 14, Scope{"paper", "bars"}},
		{"ampy.>", 42, Scope{"dev", "bars"}},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Scopes()
		if len(got) != c.n || got[0] != c.first {
			t.Errorf("%s: %d scopes, first %v", c.pattern, len(got), got[0])
		}
		got[0] = Scope{}
		if again := p.Scopes(); again[0] != c.first {
			t.Errorf("%s: a caller can change the table", c.pattern)
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p, err := ParsePattern("ampy.*.bars.v1.*.>")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { p.Match("ampy.prod.bars.v1.XNYS.BRK.B") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// matchModel is the definition of a pattern, written down naively.
func matchModel(pattern, topic []string) bool {
	switch {
	case len(pattern) == 0 || len(topic) == 0:
		return len(pattern) == len(topic)
	case pattern[0] == ">":
		return true
	case pattern[0] == "*" || pattern[0] == topic[0]:
		return matchModel(pattern[1:], topic[1:])
	}
	return false
}

func TestMatchAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topic := strings.Split(genTopic().Draw(t, "topic").String(), ".")
		pattern := slices.Clone(topic)
		for i := range pattern[1:] {
			switch rapid.IntRange(0, 5).Draw(t, "change") {
			case 0:
				pattern[i+1] = "*"
			case 1:
				if i+1 >= subtopicToken {
					pattern[i+1] += "x"
				}
			}
		}
		if end := rapid.IntRange(1, len(pattern)).Draw(t, "end"); end < len(pattern) {
			pattern = append(pattern[:end], ">")
		}
		p, err := ParsePattern(strings.Join(pattern, "."))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := p.Match(strings.Join(topic, ".")), matchModel(pattern, topic); got != want {
			t.Fatalf("%s on %s: %v", p, strings.Join(topic, "."), got)
		}
	})
}
