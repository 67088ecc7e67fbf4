package ampybus

import (
	"strings"
	"testing"
	"time"
)

func TestEveryDomainHasACompleteRow(t *testing.T) {
	if len(policies) != len(domainNames) {
		t.Fatalf("%d rows, %d domains", len(policies), len(domainNames))
	}
	for i, domain := range Domains() {
		t.Run(domain, func(t *testing.T) {
			p, ok := PolicyFor(domain)
			if !ok || p.Domain != domain || policies[i].Domain != domain {
				t.Fatalf("row %q, found %v", p.Domain, ok)
			}
			for what, missing := range map[string]bool{
				"version": !isVersion(p.Version), "subtopic": p.Subtopic == "", "key": p.PartitionKey == "",
				"class": p.Class.String() == "unknown", "on dead": p.OnDead.String() == "default",
				"schema":   !p.Infrastructure && (len(p.Schemas) == 0 || p.DefaultSchema == ""),
				"replicas": p.Replicas == 0, "compression": p.CompressOver != 128<<10,
			} {
				if missing {
					t.Errorf("%s is missing or wrong", what)
				}
			}
			for _, s := range append(p.Schemas, p.DefaultSchema) {
				if s != "" && !strings.HasPrefix(s, "ampy."+domain+"."+p.Version+".") {
					t.Errorf("type %s", s)
				}
			}
			for alias, real := range p.Aliases {
				if CanonicalSchema(alias) != real {
					t.Errorf("alias %s is not resolved", alias)
				}
			}
		})
	}
}

func TestLimitsOfEachDomainFitTogether(t *testing.T) {
	for _, p := range policies {
		if p.PublishCeiling <= 0 || p.DedupeWindow < 2*p.PublishCeiling {
			t.Errorf("%s: a publish is retried for %v, the broker knows ids for %v", p.Domain, p.PublishCeiling, p.DedupeWindow)
		}
		if p.Retention < 7*24*time.Hour {
			t.Errorf("%s: retention %v", p.Domain, p.Retention)
		}
		r := p.Retry
		if r.Attempts < 2 || r.Elapsed <= 0 || r.Base <= 0 || r.Cap < r.Base || r.Cap > r.Elapsed {
			t.Errorf("%s: retry %+v", p.Domain, r)
		}
		most := time.Duration(0)
		for n := range r.Attempts - 1 {
			most += min(r.Cap, r.Base<<n)
		}
		if most > r.Elapsed {
			t.Errorf("%s: %d attempts take up to %v of %v", p.Domain, r.Attempts, most, r.Elapsed)
		}
	}
}

func TestTheSpecificationsNumbers(t *testing.T) {
	ms := time.Millisecond
	target := map[string]time.Duration{"orders": 50 * ms, "signals": 50 * ms, "fills": 50 * ms, "bars": 150 * ms, "ticks": 150 * ms}
	parked := map[string]bool{"orders": true, "fills": true, "positions": true}
	hashed := map[string]bool{"orders": true, "fills": true, "positions": true, "signals": true, "dlq": true, "control": true}
	for _, p := range policies {
		if p.LatencyTarget != target[p.Domain] {
			t.Errorf("%s: latency %v", p.Domain, p.LatencyTarget)
		}
		if (p.OnDead == Park) != parked[p.Domain] {
			t.Errorf("%s: on dead %v", p.Domain, p.OnDead)
		}
		if p.AlwaysHash != hashed[p.Domain] {
			t.Errorf("%s: hashed %v", p.Domain, p.AlwaysHash)
		}
		if p.Infrastructure != (p.Domain == "dlq") {
			t.Errorf("%s: infrastructure %v", p.Domain, p.Infrastructure)
		}
		if parked[p.Domain] && p.Retention < 30*24*time.Hour {
			t.Errorf("%s: compliance retention %v", p.Domain, p.Retention)
		}
	}
	for domain, want := range map[string]Retry{
		"orders": {Attempts: 5, Elapsed: 2 * time.Second}, "bars": {Attempts: 8, Elapsed: 30 * time.Second}, "news": {Attempts: 10, Elapsed: 5 * time.Minute},
	} {
		if p, _ := PolicyFor(domain); p.Retry.Attempts != want.Attempts || p.Retry.Elapsed != want.Elapsed {
			t.Errorf("%s: retry %+v", domain, p.Retry)
		}
	}
}

func TestDefaultSchemaDependsOnTheSubtopic(t *testing.T) {
	for topic, want := range map[string]string{
		"ampy.prod.ticks.v1.trade.MSFT":        "ampy.ticks.v1.TradeTick",
		"ampy.prod.ticks.v1.quote.MSFT":        "ampy.ticks.v1.QuoteTick",
		"ampy.prod.ticks.v1.other":             "ampy.ticks.v1.TradeTick",
		"ampy.prod.control.v1.replay_status":   "ampy.control.v1.ReplayStatus",
		"ampy.prod.control.v1.replay_requests": "ampy.control.v1.ReplayRequest",
		"ampy.prod.bars.v1.XNAS.AAPL":          "ampy.bars.v1.BarBatch",
		"ampy.prod.dlq.v1.bars":                "",
	} {
		tp, err := ParseTopic(topic)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := PolicyFor(tp.Domain)
		if got := p.SchemaFor(tp.Subtopic); got != want {
			t.Errorf("%s: %q", topic, got)
		}
	}
}

func TestUnknownDomainHasNoPolicy(t *testing.T) {
	for _, domain := range []string{"", "barz", "BARS"} {
		if _, ok := PolicyFor(domain); ok {
			t.Errorf("%q has one", domain)
		}
	}
}

func TestSettlementsOutliveTheDeadLettersTheySettle(t *testing.T) {
	control, _ := PolicyFor(DomainControl)
	dlq, _ := PolicyFor(DomainDLQ)
	for _, d := range Domains() {
		p, _ := PolicyFor(d)
		if d != DomainDLQ && d != DomainControl && p.Retention > dlq.Retention {
			t.Errorf("dead letters are kept %v, the records of %s %v: a parked key would forget what it waits for", dlq.Retention, d, p.Retention)
		}
	}
	if control.Retention < dlq.Retention {
		t.Errorf("settlements are kept %v, dead letters %v: settled ones would open again", control.Retention, dlq.Retention)
	}
}
