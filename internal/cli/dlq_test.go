package cli

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/fixture"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/redrive"
)

// planFile makes a plan and saves it, as a shell would.
func (h *harness) planFile(args ...string) string {
	h.t.Helper()
	r := h.run(append([]string{"dlq", "plan", "--subject", "ampy.dev.dlq.v1.>", "-o", "json"}, args...)...)
	r.wants(h.t, ExitOK)
	return h.file("plan.json", r.out)
}

func (h *harness) file(name, text string) string {
	h.t.Helper()
	name = filepath.Join(h.t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return name
}

func (h *harness) apply(args ...string) (redrive.Report, result) {
	h.t.Helper()
	r := h.run(append([]string{"dlq", "apply", "-o", "json", "--reason", "fixed"}, args...)...)
	var doc redrive.Report
	if r.out != "" {
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
			h.t.Fatalf("%v: %s%s", err, r.out, r.err)
		}
	}
	return doc, r
}

func TestAPlanSelectsWithEachFilter(t *testing.T) {
	h := newHarness(t)
	a := h.dead(topic, "XNAS.AAPL", 0)
	b := h.dead("ampy.dev.bars.v1.XNAS.MSFT", "XNAS.MSFT", 1)
	c := h.dead(orders, "co_1", 2)
	for _, one := range []struct {
		flags []string
		want  []ampybus.Headers
	}{
		{nil, []ampybus.Headers{a, b, c}},
		{[]string{"--key", "XNAS.*"}, []ampybus.Headers{a, b}},
		{[]string{"--key", "XNAS.AAPL", "--key", "co_1"}, []ampybus.Headers{a, c}},
		{[]string{"--topic", "ampy.*.bars.v1.XNAS.MSFT"}, []ampybus.Headers{b}},
		{[]string{"--reason", "hand*", "--group", "g", "--since", "1h"}, []ampybus.Headers{a, b, c}},
		{[]string{"--where", "retry_count >= 1"}, []ampybus.Headers{b, c}},
		{[]string{"--where", `key == "co_1" || topic contains "AAPL"`}, []ampybus.Headers{a, c}},
		{[]string{"--limit", "1"}, []ampybus.Headers{a}},
	} {
		args := append([]string{"dlq", "plan", "--subject", "ampy.dev.dlq.v1.>", "-o", "json"}, one.flags...)
		r := h.run(args...)
		r.wants(t, ExitOK)
		p, err := redrive.ReadPlan(strings.NewReader(r.out))
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, e := range p.Entries {
			got = append(got, e.MessageID)
		}
		for _, w := range one.want {
			want = append(want, w.MessageID)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", one.flags, got, want)
		}
	}
	h.run("dlq", "plan", "--subject", barsDead, "--until", "1h").wants(t, ExitNothing, "no open dead letter")
	h.run("dlq", "plan", "--subject", barsDead).wants(t, ExitOK, "ORIGIN", topic, "planned: 2, ")
}

func TestAWhereWithAnOrDoesNotWidenWhatAMessageIDSelects(t *testing.T) {
	h := newHarness(t)
	a := h.dead(topic, "XNAS.AAPL", 0)
	h.dead(topic, "XNAS.AAPL", 0)
	for _, where := range []string{"true || false", "true // all of them"} {
		r := h.run("dlq-discard", "--subject", barsDead, "--message-id", a.MessageID, "--where", where, "--reason", "x", "--max", "9")
		if n := strings.Count(r.out, "[discard]"); where == "true || false" && (r.code != ExitOK || n != 1) ||
			where != "true || false" && r.code != ExitNothing {
			t.Errorf("%s: exit %d, %d discarded: %s", where, r.code, n, r.err)
		}
	}
}

func TestApplySendsThePlanAndRecordsWhoAndWhy(t *testing.T) {
	h := newHarness(t)
	a := h.dead(topic, "XNAS.AAPL", 0)
	plan := h.planFile()
	later := h.dead(topic, "XNAS.AAPL", 0)

	doc, r := h.apply("--plan", plan, "--dry-run")
	if r.code != ExitOK || doc.Counts[redrive.Would] != 1 || strings.Contains(r.err, `"action"`) {
		t.Fatalf("dry run: exit %d, %+v, %s", r.code, doc, r.err)
	}
	log := filepath.Join(t.TempDir(), "audit.jsonl")
	doc, r = h.apply("--plan", plan, "--audit", log, "--requester", "ops@cli-1", "--rate", "1000")
	if r.code != ExitOK || len(doc.Results) != 1 || doc.Counts[redrive.Redriven] != 1 || doc.Results[0].MessageID != a.MessageID {
		t.Fatalf("exit %d, %+v", r.code, doc)
	}
	doc, r = h.apply("--plan", plan, "--audit", log)
	if r.code != ExitOK || doc.Counts[redrive.Gone] != 1 {
		t.Errorf("again: exit %d, %+v", r.code, doc)
	}
	text, err := os.ReadFile(log)
	if err != nil || strings.Count(string(text), "\n") != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	var first auditEntry
	if err := json.Unmarshal([]byte(strings.SplitN(string(text), "\n", 2)[0]), &first); err != nil {
		t.Fatal(err)
	}
	if first.Action != "redrive" || first.Reason != "fixed" || first.Requester != "ops@cli-1" || first.Time.IsZero() ||
		first.Counts["redriven"] != 1 || len(first.Messages) != 1 || first.Messages[0].MessageID != a.MessageID || first.Messages[0].NewOrigin == "" {
		t.Errorf("%+v", first)
	}
	h.run("dlq", "plan", "--subject", barsDead, "-o", "json").wants(t, ExitOK, later.MessageID)
}

func TestWhatDiffersFromThePlanIsNotSent(t *testing.T) {
	h := newHarness(t)
	h.dead(topic, "XNAS.AAPL", 0)
	text, err := os.ReadFile(h.planFile())
	if err != nil {
		t.Fatal(err)
	}
	forged := h.file("plan.json", strings.ReplaceAll(string(text), topic, "ampy.prod.orders.v1.requests"))
	doc, r := h.apply("--plan", forged)
	if r.code != ExitPartial || doc.Counts[redrive.Changed] != 1 {
		t.Errorf("exit %d, %+v", r.code, doc)
	}
	unknown := h.file("plan.json", strings.Replace(string(text), `"version"`, `"colour": 1, "version"`, 1))
	if _, r := h.apply("--plan", unknown); r.code != ExitUsage || !strings.Contains(r.err, "colour") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
	elsewhere := h.file("plan.json", strings.ReplaceAll(string(text), "ampy.dev.dlq.v1.", "ampy.dev.bars.v1."))
	if _, r := h.apply("--plan", elsewhere); r.code != ExitUsage {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
}

func TestStopOnFailureLeavesTheRest(t *testing.T) {
	h := newHarness(t)
	h.dead(orders, "co_1", 99)
	h.dead(orders, "co_2", 0)
	plan := h.planFile()
	doc, r := h.apply("--plan", plan, "--stop-on-failure")
	if want := []redrive.Outcome{redrive.Refused, redrive.Skipped}; r.code != ExitPartial || !slices.Equal(outcomes(doc), want) {
		t.Errorf("exit %d, %v, want %v", r.code, outcomes(doc), want)
	}
	if !strings.Contains(r.err, `"action":"redrive"`) {
		t.Errorf("no audit line: %s", r.err)
	}
	doc, r = h.apply("--plan", plan, "--force")
	if r.code != ExitOK || doc.Counts[redrive.Redriven] != 2 {
		t.Errorf("forced: exit %d, %+v", r.code, doc)
	}
}

func TestNothingIsSentWhenItCannotBeRecorded(t *testing.T) {
	h := newHarness(t)
	h.dead(topic, "XNAS.AAPL", 0)
	plan := h.planFile()
	for _, log := range []string{t.TempDir(), "/dev/null", "/nowhere/audit.jsonl"} {
		for _, args := range [][]string{
			{"dlq", "apply", "--plan", plan, "--reason", "r"},
			{"dlq-redrive", "--subject", barsDead},
			{"dlq-discard", "--subject", barsDead, "--pk", "*", "--reason", "r"},
		} {
			h.run(append(args, "--audit", log)...).wants(t, ExitUsage, "--audit: ")
		}
	}
	h.run("dlq-inspect", "--subject", barsDead).wants(t, ExitOK, "[dlq]")
}

func TestShowTellsAllOfADeadLetterAndOfItsMessage(t *testing.T) {
	h := newHarness(t)
	hs := h.dead(topic, "XNAS.AAPL", 99)
	const origin = "ampy.dev.dlq:1"
	h.run("dlq", "show", "--subject", barsDead, "--origin", origin).wants(t, ExitOK,
		"[dlq] origin="+origin, "headers:\n", "  producer: test@1\n", "redrive would refuse it: ", "payload: 0 bytes, sha256:")
	h.run("dlq-redrive", "--subject", barsDead, "--force", "--reason", "first try", "--requester", "ops@1").wants(t, ExitOK)
	h.run("dlq", "show", "--subject", barsDead, "--message-id", hs.MessageID).wants(t, ExitOK,
		"settled=redriven", "[settlement] redriven origin="+origin, `reason="first try"`, "requester=ops@1", "stored_as=ampy.dev.bars:1")
	r := h.run("dlq", "show", "--subject", barsDead, "--origin", origin, "-o", "json")
	var doc letterDoc
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || len(doc.History) != 1 || doc.History[0].Outcome != "redriven" || doc.Refused == "" {
		t.Errorf("%v: %s", err, r.out)
	}
	h.run("dlq", "show", "--subject", barsDead, "--origin", "ampy.dev.dlq:9").wants(t, ExitNothing, "holds no dead letter ampy.dev.dlq:9")
}

func TestAPayloadThatDoesNotDecodeIsShownAsBytes(t *testing.T) {
	h := newHarness(t)
	h.poison([]byte(strings.Repeat("\xff\x1b", maxHexDump)))
	r := h.run("dlq", "show", "--subject", barsDead, "--origin", "ampy.dev.dlq:1")
	r.wants(t, ExitOK, "decode error: ", "  00000000  ff 1b ff 1b", "… 512 more bytes")
	checkShown(t, []string{"show"}, r.out)
}

// poison stores a dead letter with a payload.
func (h *harness) poison(payload []byte) ampybus.Headers {
	h.t.Helper()
	hs := ampybus.NewHeaders("ampy.bars.v1.BarBatch", "test@1", "test", "XNAS.AAPL")
	hs.RunID, hs.Topic = "run", barsDead
	hs.DLQ = ampybus.DLQInfo{Reason: "decode:proto: no", Topic: topic, Group: "g", Attempts: 1, At: hs.ProducedAt, Origin: "log:" + hs.MessageID}
	h.store(driver.Record{Topic: barsDead, Key: "XNAS.AAPL", Headers: ampybus.EncodeHeaders(hs), Value: payload})
	return hs
}

// aapl is a batch of one bar.
const aapl = `{"bars": [{"security": {"symbol": "AAPL", "mic": "XNAS"}, "start": "2025-09-05T19:30:00Z", "end": "2025-09-05T19:31:00Z"}]}`

// edit writes a dead letter to a file and puts a payload into it.
func (h *harness) edit(origin, payload string) string {
	h.t.Helper()
	dir := h.t.TempDir()
	h.run("dlq", "edit", "--subject", barsDead, "--origin", origin, "--outdir", dir).wants(h.t, ExitOK, "[edit] origin="+origin+" file="+dir)
	names := dumped(h.t, dir, ".fixture.json")
	if len(names) != 1 {
		h.t.Fatal(names)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		h.t.Fatal(err)
	}
	old := `"payload_base64": "` + base64.StdEncoding.EncodeToString([]byte("\xff\xff")) + `"`
	edited := strings.Replace(string(text), old, `"payload_json": `+payload, 1)
	if edited == string(text) {
		h.t.Fatalf("no %s in %s", old, text)
	}
	if err := os.WriteFile(names[0], []byte(edited), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return names[0]
}

func TestARepairedPayloadIsSentUnderItsMessageID(t *testing.T) {
	h := newHarness(t)
	first, second := h.poison([]byte("\xff\xff")), h.poison([]byte("\xff\xff"))
	one, two := h.edit("ampy.dev.dlq:1", aapl), h.edit("ampy.dev.dlq:2", strings.Replace(aapl, "19:31", "19:32", 1))
	doc, r := h.apply("--plan", h.planFile(), "--edited", two, "--edited", one)
	if r.code != ExitOK || doc.Counts[redrive.Redriven] != 2 || strings.Count(r.err, `"repaired":true`) != 2 {
		t.Fatalf("exit %d, %+v %s", r.code, doc, r.err)
	}
	r = h.run("sub", "--subject", topic, "--no-follow", "--decode", "-o", "json")
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], first.MessageID) || !strings.Contains(lines[0], "19:31:00Z") ||
		!strings.Contains(lines[1], second.MessageID) || !strings.Contains(lines[1], "19:32:00Z") || strings.Contains(r.out, "dlq_reason") {
		t.Errorf("%s", r.out)
	}
}

func TestARepairThatWouldDieAgainOrBelongsElsewhereIsRefused(t *testing.T) {
	h := newHarness(t)
	hs := h.poison([]byte("\xff\xff"))
	plan := h.planFile()
	msft := strings.Replace(aapl, "AAPL", "MSFT", 1)
	for _, c := range []struct{ payload, want string }{
		{`{"colour": 1}`, "colour"},
		{msft, "its key is XNAS.MSFT, the dead letter's XNAS.AAPL"},
	} {
		file := h.edit("ampy.dev.dlq:1", c.payload)
		if _, r := h.apply("--plan", plan, "--edited", file); r.code != ExitUsage || !strings.Contains(r.err, "--edited: ") || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: exit %d, no %q in %s", c.payload, r.code, c.want, r.err)
		}
		bare := h.file("payload.json", c.payload)
		if _, r := h.apply("--plan", plan, "--payload", bare); r.code != ExitUsage || !strings.Contains(r.err, "--payload: ") || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: exit %d, no %q in %s", c.payload, r.code, c.want, r.err)
		}
	}
	still := h.file("payload.bin", "\xff\xff\xff")
	h.run("dlq-redrive", "--subject", barsDead, "--message-id", hs.MessageID, "--payload", still).wants(t, ExitUsage, "--payload: it still does not decode")

	file := h.edit("ampy.dev.dlq:1", aapl)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for header, other := range map[string]string{
		`"partition_key": "XNAS.AAPL"`:           `"partition_key": "XNAS.MSFT"`,
		`"dlq_group": "g"`:                       `"dlq_group": "h"`,
		hs.MessageID:                             ampybus.NewID(),
		`"schema_fqdn": "ampy.bars.v1.BarBatch"`: `"schema_fqdn": "ampy.fx.v1.FxRate"`,
		`"dlq_topic": "` + topic:                 `"dlq_topic": "` + topic + "L",
	} {
		if !strings.Contains(string(text), header) {
			t.Fatalf("no %s in %s", header, text)
		}
		changed := h.file("f.fixture.json", strings.ReplaceAll(string(text), header, other))
		if _, r := h.apply("--plan", plan, "--edited", changed); r.code != ExitUsage || !strings.Contains(r.err, "--edited: ") {
			t.Errorf("%s changed: exit %d, %s", header, r.code, r.err)
		}
	}
	if got := h.topics("ampy.dev.bars.>"); len(got) != 0 {
		t.Errorf("sent %v", got)
	}
	if doc, r := h.apply("--plan", plan, "--edited", h.edit("ampy.dev.dlq:1", msft), "--any-key"); r.code != ExitOK || doc.Counts[redrive.Redriven] != 1 {
		t.Errorf("--any-key: exit %d, %s", r.code, r.err)
	}
}

func TestAnEditedFileIsNotWrittenOver(t *testing.T) {
	h := newHarness(t)
	h.poison([]byte("\xff\xff"))
	file := h.edit("ampy.dev.dlq:1", aapl)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h.run("dlq", "edit", "--subject", barsDead, "--origin", "ampy.dev.dlq:1", "--outdir", filepath.Dir(file)).wants(t, ExitFailure, "file exists")
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Errorf("%v: %s", err, after)
	}
	if _, err := fixture.Parse(before); err != nil {
		t.Errorf("the file is no fixture: %v", err)
	}
}

func TestADeadLetterWhoseHeadersAreBrokenCannotBeRepaired(t *testing.T) {
	h := newHarness(t)
	h.store(driver.Record{Topic: barsDead, Key: "k", Headers: []driver.Header{{Name: ampybus.HeaderMessageID, Value: "no"}}, Value: []byte("x")})
	h.run("dlq", "edit", "--subject", barsDead, "--origin", "ampy.dev.dlq:1", "--outdir", t.TempDir()).
		wants(t, ExitFailure, "edit ampy.dev.dlq:1: it is not only the payload that is broken")
}
