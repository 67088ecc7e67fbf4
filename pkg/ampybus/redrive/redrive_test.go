package redrive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/redrive"
)

const (
	topic = "ampy.dev.news.v1.raw"
	dlq   = "ampy.dev.dlq.v1.news"
)

// letters makes a dead letter of each payload "key:n" and hands the bus over.
func letters(t *testing.T, payloads []string, f func(bus *ampybus.Bus, broker *membinding.Broker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		broker := membinding.New(membinding.Config{})
		bus := broker.Connect(ampybus.Options{})
		for _, p := range payloads {
			key, _, _ := strings.Cut(p, ":")
			h := ampybus.NewHeaders("ampy.news.v1.NewsItem", "test@1", "test", key)
			h.RunID = "run"
			if err := bus.Publish(context.Background(), topic, h, []byte(p)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := bus.Consume(ctx, ampybus.Consumer{Pattern: topic, Group: "g"}, func(_ context.Context, m *ampybus.Message) error {
			return &ampybus.PoisonError{Code: "decode:" + string(m.Payload[0]), Err: errors.New("bad")}
		})
		if err != nil {
			t.Fatal(err)
		}
		f(bus, broker)
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	})
}

func plan(t *testing.T, bus *ampybus.Bus, f redrive.Filter) *redrive.Plan {
	t.Helper()
	p, err := redrive.Make(context.Background(), bus, dlq, f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func apply(t *testing.T, bus *ampybus.Bus, p *redrive.Plan, o redrive.Options) *redrive.Report {
	t.Helper()
	o.Reason, o.Requester = "fixed", "test@1"
	r, err := redrive.Apply(context.Background(), bus, p, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func outcomes(r *redrive.Report) string {
	var s []string
	for _, x := range r.Results {
		s = append(s, string(x.Outcome))
	}
	return strings.Join(s, " ")
}

func stored(t *testing.T, bus *ampybus.Bus) string {
	t.Helper()
	var s []string
	for m, err := range bus.Read(context.Background(), ampybus.Range{Pattern: topic}) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Headers.RetryCount > 0 {
			s = append(s, string(m.Payload))
		}
	}
	return strings.Join(s, " ")
}

func TestAPlanChangesNothingAndApplyingItSendsInOrder(t *testing.T) {
	letters(t, []string{"a:1", "b:1", "a:2"}, func(bus *ampybus.Bus, _ *membinding.Broker) {
		p := plan(t, bus, redrive.Filter{})
		if len(p.Entries) != 3 || stored(t, bus) != "" {
			t.Fatalf("planned %d, sent %q", len(p.Entries), stored(t, bus))
		}
		dry := apply(t, bus, p, redrive.Options{DryRun: true})
		if outcomes(dry) != "would would would" || stored(t, bus) != "" || !dry.Complete() {
			t.Errorf("dry run: %s, sent %q", outcomes(dry), stored(t, bus))
		}
		r := apply(t, bus, p, redrive.Options{})
		sent := stored(t, bus)
		if outcomes(r) != "redriven redriven redriven" || !r.Complete() || len(sent) != len("a:1 b:1 a:2") ||
			strings.Index(sent, "a:1") > strings.Index(sent, "a:2") {
			t.Errorf("%s, sent %q", outcomes(r), sent)
		}
		if again := apply(t, bus, p, redrive.Options{}); outcomes(again) != "gone gone gone" {
			t.Errorf("applied twice: %s", outcomes(again))
		}
	})
}

func TestFiltersSelect(t *testing.T) {
	letters(t, []string{"a:1", "b:1", "ab:1", "a:2"}, func(bus *ampybus.Bus, _ *membinding.Broker) {
		first := plan(t, bus, redrive.Filter{}).Entries[0]
		for name, c := range map[string]struct {
			f    redrive.Filter
			want int
		}{
			"reason":       {redrive.Filter{Reasons: []string{"decode:a"}}, 3},
			"reason glob":  {redrive.Filter{Reasons: []string{"decode:*"}}, 4},
			"key":          {redrive.Filter{Keys: []string{"a", "b"}}, 3},
			"key glob":     {redrive.Filter{Keys: []string{"a*"}}, 3},
			"topic":        {redrive.Filter{Topics: []string{"ampy.dev.news.v1.*"}}, 4},
			"other topic":  {redrive.Filter{Topics: []string{"ampy.prod.>"}}, 0},
			"group":        {redrive.Filter{Groups: []string{"g"}}, 4},
			"since":        {redrive.Filter{Since: first.DiedAt.Add(time.Hour)}, 0},
			"until":        {redrive.Filter{Until: first.DiedAt}, 0},
			"where":        {redrive.Filter{Where: `key == "a" && retry_count == 0 && size > 2`}, 2},
			"limit":        {redrive.Filter{Limit: 2}, 2},
			"all together": {redrive.Filter{Keys: []string{"a"}, Where: `reason contains "bad"`, Limit: 1}, 1},
		} {
			if got := len(plan(t, bus, c.f).Entries); got != c.want {
				t.Errorf("%s: %d selected, want %d", name, got, c.want)
			}
		}
	})
}

func TestFilterFaultsNameTheirField(t *testing.T) {
	at := time.Unix(0, 0)
	for field, f := range map[string]redrive.Filter{
		"where":   {Where: "key ="},
		"reasons": {Reasons: []string{"["}},
		"pattern": {Topics: []string{"ampy.*.x"}},
		"until":   {Since: at, Until: at},
		"limit":   {Limit: -1},
	} {
		var fe *ampybus.FieldError
		if err := f.Validate(); !errors.As(err, &fe) || fe.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := (redrive.Filter{Where: "nonsense > 1"}).Validate(); err == nil {
		t.Error("an unknown name in where is accepted")
	}
}

func TestAFailureHoldsTheRestOfItsKeyOnly(t *testing.T) {
	letters(t, []string{"a:1", "b:1", "a:2", "b:2"}, func(bus *ampybus.Bus, _ *membinding.Broker) {
		p := plan(t, bus, redrive.Filter{})
		for i := range p.Entries {
			if p.Entries[i].Key == "a" {
				p.Entries[i].Hash = "sha256:other"
				break
			}
		}
		r := apply(t, bus, p, redrive.Options{})
		of := make(map[string]string)
		for _, x := range r.Results {
			of[x.Key] += string(x.Outcome) + " "
		}
		if of["a"] != "changed held " || of["b"] != "redriven redriven " || stored(t, bus) != "b:1 b:2" || r.Complete() {
			t.Errorf("%v, sent %q", of, stored(t, bus))
		}
	})
}

func TestStopOnFailureStops(t *testing.T) {
	letters(t, []string{"a:1", "b:1", "c:1"}, func(bus *ampybus.Bus, broker *membinding.Broker) {
		p := plan(t, bus, redrive.Filter{})
		restore := broker.Refuse(topic, driver.ErrPermission)
		defer restore()
		r := apply(t, bus, p, redrive.Options{StopOnFailure: true})
		if outcomes(r) != "failed skipped skipped" || !strings.Contains(r.Results[0].Error, "permission") {
			t.Errorf("%s: %s", outcomes(r), r.Results[0].Error)
		}
	})
}

func TestTheRateIsKept(t *testing.T) {
	letters(t, []string{"a:1", "b:1", "c:1", "d:1", "e:1"}, func(bus *ampybus.Bus, _ *membinding.Broker) {
		p := plan(t, bus, redrive.Filter{})
		started := time.Now()
		apply(t, bus, p, redrive.Options{Rate: 2})
		if took := time.Since(started); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("5 dead letters at 2 per second took %v", took)
		}
	})
}

func TestAnEditedPayloadReplacesTheStoredOne(t *testing.T) {
	letters(t, []string{"a:1"}, func(bus *ampybus.Bus, _ *membinding.Broker) {
		p := plan(t, bus, redrive.Filter{})
		apply(t, bus, p, redrive.Options{Payloads: map[string][]byte{p.Entries[0].Origin: []byte("a:fixed")}})
		if stored(t, bus) != "a:fixed" {
			t.Errorf("sent %q", stored(t, bus))
		}
	})
}

func TestAPlanSurvivesItsFile(t *testing.T) {
	letters(t, []string{"a:1", "b:1"}, func(bus *ampybus.Bus, _ *membinding.Broker) {
		p := plan(t, bus, redrive.Filter{Keys: []string{"*"}})
		var b bytes.Buffer
		if err := redrive.WritePlan(&b, p); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		back, err := redrive.ReadPlan(strings.NewReader(text))
		if err != nil || fmt.Sprint(*back) != fmt.Sprint(*p) {
			t.Errorf("read %v, %v", back, err)
		}
		for name, bad := range map[string]string{
			"unknown field": strings.Replace(text, `"pattern"`, `"patern"`, 1),
			"version":       strings.Replace(text, `"version": 1`, `"version": 9`, 1),
			"trailing data": text + "{}",
			"cut":           text[:len(text)/2],
			"empty":         "",
		} {
			if _, err := redrive.ReadPlan(strings.NewReader(bad)); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}

func TestReasonAndRequesterAreRequired(t *testing.T) {
	for field, o := range map[string]redrive.Options{"reason": {Requester: "r"}, "requester": {Reason: "r"}} {
		var fe *ampybus.FieldError
		if _, err := redrive.Apply(context.Background(), nil, &redrive.Plan{}, o); !errors.As(err, &fe) || fe.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
