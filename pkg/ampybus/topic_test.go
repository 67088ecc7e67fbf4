package ampybus

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The topics of the specification, and symbols as markets write them.
var legalTopics = []string{
	"ampy.prod.bars.v1.XNAS.AAPL",
	"ampy.prod.bars.v1.XNYS.BRK.B",
	"ampy.dev.bars.v1.XNAS.AAPL",
	"ampy.prod.bars.v12.XNAS.AAPL",
	"ampy.prod.bars.v999.XNAS.AAPL",
	"ampy.prod.bars.v1.XIDX.^GSPC",
	"ampy.prod.bars.v1.XCME.ES=F",
	"ampy.prod.bars.v1.XOFF.BTC-USD",
	"ampy.prod.bars.v1.XNAS.A/B#C+D:E|F_G@H",
	"ampy.prod.ticks.v1.trade.MSFT",
	"ampy.prod.ticks.v1.quote.AAPL",
	"ampy.prod.fundamentals.v1.XNAS.AAPL",
	"ampy.prod.news.v1.raw",
	"ampy.prod.news.v1.nlp",
	"ampy.prod.fx.v1.rates",
	"ampy.prod.fx.v1.USD.JPY",
	"ampy.prod.corporate_actions.v1.XNAS.AAPL",
	"ampy.prod.universe.v1.sp500",
	"ampy.prod.signals.v1.hyper@2025-09-05",
	"ampy.paper.orders.v1.requests",
	"ampy.prod.fills.v1.events",
	"ampy.prod.positions.v1.snapshots",
	"ampy.prod.metrics.v1.ampy-oms",
	"ampy.prod.dlq.v1.bars",
	"ampy.prod.dlq.v1.ampy.prod.bars.v1.XNAS.AAPL",
	"ampy.prod.control.v1.replay_requests",
}

func TestLegalTopicsParseAndPrintUnchanged(t *testing.T) {
	for _, s := range legalTopics {
		t.Run(s, func(t *testing.T) {
			topic, err := ParseTopic(s)
			if err != nil {
				t.Fatal(err)
			}
			if topic.String() != s {
				t.Errorf("printed as %s", topic)
			}
			p, err := ParsePattern(s)
			if err != nil || !p.IsTopic() || !p.Match(s) {
				t.Errorf("as a pattern: %v, IsTopic %v, Match %v", err, p.IsTopic(), p.Match(s))
			}
		})
	}
}

func TestTopicSplitsIntoParts(t *testing.T) {
	got, err := ParseTopic("ampy.paper.bars.v2.XNYS.BRK.B")
	want := Topic{Env: "paper", Domain: "bars", Version: "v2", Subtopic: "XNYS.BRK.B"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if got.Major() != 2 {
		t.Errorf("major %d", got.Major())
	}
	if dlq := got.DLQ().String(); dlq != "ampy.paper.dlq.v1.bars" {
		t.Errorf("dead letters go to %s", dlq)
	}
}

// hostileTopics are refused whether they are meant as topic or as pattern.
var hostileTopics = []struct{ topic, problem string }{
	{"", "empty"},
	{"ampy.prod.bars.v1.X\r\nPUB evil 1\r\nX", "control"},
	{"ampy.prod.bars.v1.X\x00", "control"},
	{"ampy.prod.bars.v1.X\u0085", "control"},
	{"ampy.prod.bars.v1..AAPL", "empty token"},
	{".ampy.prod.bars.v1.AAPL", "empty token"},
	{"ampy.prod.bars.v1.AAPL.", "empty token"},
	{".", "empty token"},
	{"ampy.staging.bars.v1.X", "env"},
	{"ampy.prod.barz.v1.X", "domain"},
	{"AMPY.prod.bars.v1.X", "case"},
	{"ampy.Prod.bars.v1.X", "case"},
	{"ampy.prod.Bars.v1.X", "case"},
	{"ampy.prod.bars.v0.X", "version"},
	{"ampy.prod.bars.v01.X", "version"},
	{"ampy.prod.bars.1.X", "version"},
	{"ampy.prod.bars.v1a.X", "version"},
	{"ampy.prod.bars.v.X", "version"},
	{"ampy.prod.bars.V1.X", "version"},
	{"ampy.prod.bars.v1000.X", "version"},
	{"ampy.prod.bars.v99999.X", "version"},
	{"ampy.prod.bars.v1", "subtopic"},
	{"ampy.prod", "subtopic"},
	{"ampy", "subtopic"},
	{"ampy.prod.bars.v1.../../etc/passwd", "empty token"},
	{"ampy.prod.bars.v1.~/.ssh", "charset"},
	{"ampy.prod.bars.v1.a b", "charset"},
	{"ampy.prod.bars.v1.a*", "charset"},
	{"ampy.prod.bars.v1.a>", "charset"},
	{"ampy.prod.bars.v1.ÄÖ", "charset"},
	{"ampy.prod.bars.v1.\xff", "charset"},
	{`ampy.prod.bars.v1.a\b`, "charset"},
	{"$JS.API.STREAM.DELETE.S", "prefix"},
	{"_INBOX.x", "prefix"},
	{"$SYS.>", "prefix"},
	{">", "prefix"},
	{"*.prod.bars.v1.X", "prefix"},
	{"ampy.prod.bars.v1." + strings.Repeat("a", 65), "length"},
	{"ampy.prod.bars.v1." + strings.Repeat("a.", 91) + "a", "length"},
	{"ampy.prod.bars.v1." + strings.Repeat("A", 4982), "length"},
}

func TestHostileTopicsAreRefusedNamingTheProblem(t *testing.T) {
	wild := []struct{ topic, problem string }{
		{"ampy.prod.bars.v1.*", "wildcard"},
		{"ampy.prod.bars.v1.>", "wildcard"},
		{"ampy.*.bars.v1.XNAS.AAPL", "wildcard"},
		{"ampy.>", "wildcard"},
	}
	for _, c := range append(wild, hostileTopics...) {
		t.Run(c.topic, func(t *testing.T) {
			_, err := ParseTopic(c.topic)
			checkFieldError(t, err, "topic", c.problem)
		})
	}
}

func TestTopicLimitIs200Bytes(t *testing.T) {
	s := "ampy.prod.bars.v1." + strings.Repeat("a.", 90)
	for _, c := range []struct {
		length int
		legal  bool
	}{{200, true}, {201, false}} {
		topic := s + strings.Repeat("b", c.length-len(s))
		if _, err := ParseTopic(topic); (err == nil) != c.legal || len(topic) != c.length {
			t.Errorf("%d bytes: %v", len(topic), err)
		}
	}
}

func checkFieldError(t *testing.T, err error, field, problem string) {
	t.Helper()
	var fe *FieldError
	if !errors.As(err, &fe) {
		t.Fatalf("got %v, not a *FieldError", err)
	}
	if fe.Field != field || !strings.Contains(fe.Problem, problem) || fe.Fix == "" {
		t.Errorf("got field %q, problem %q, fix %q; want field %q and a problem with %q", fe.Field, fe.Problem, fe.Fix, field, problem)
	}
	if strings.ContainsFunc(fe.Error(), isControl) {
		t.Errorf("the text %q holds a control character", fe.Error())
	}
}

func TestEveryDomainAndEnvironmentOfTheSpecificationIsKnown(t *testing.T) {
	want := strings.Fields("bars ticks fundamentals news fx corporate_actions universe signals orders fills positions metrics dlq control")
	if got := Domains(); !slices.Equal(got, want) {
		t.Errorf("domains %v", got)
	}
	if got := Envs(); !slices.Equal(got, []string{"dev", "paper", "prod"}) {
		t.Errorf("environments %v", got)
	}
	Domains()[0], Envs()[0] = "changed", "changed"
	if Domains()[0] != "bars" || Envs()[0] != "dev" {
		t.Error("a caller can change the table")
	}
}

func TestParseTopicDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = ParseTopic("ampy.prod.bars.v1.XNYS.BRK.B") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// genTopic makes legal topics.
func genTopic() *rapid.Generator[Topic] {
	return rapid.Custom(func(t *rapid.T) Topic {
		tokens := rapid.SliceOfN(rapid.StringMatching(`[A-Za-z0-9_@|:+=^/#-]{1,12}`), 1, 4).Draw(t, "subtopic")
		return Topic{
			Env:      rapid.SampledFrom(Envs()).Draw(t, "env"),
			Domain:   rapid.SampledFrom(Domains()).Draw(t, "domain"),
			Version:  rapid.StringMatching(`v[1-9][0-9]{0,2}`).Draw(t, "version"),
			Subtopic: strings.Join(tokens, "."),
		}
	})
}

func TestTopicsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genTopic().Draw(t, "topic")
		got, err := ParseTopic(want.String())
		if err != nil || got != want {
			t.Fatalf("%s came back as %+v, %v", want, got, err)
		}
	})
}
