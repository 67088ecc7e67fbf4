package cli

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/redrive"
)

const (
	barsDead   = "ampy.dev.dlq.v1.bars"
	ordersDead = "ampy.dev.dlq.v1.orders"
	orders     = "ampy.dev.orders.v1.requests"
)

func (h *harness) redrive(args ...string) (redrive.Report, result) {
	h.t.Helper()
	r := h.run(append([]string{"dlq-redrive", "-o", "json"}, args...)...)
	var doc redrive.Report
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		h.t.Fatalf("%v: %s%s", err, r.out, r.err)
	}
	return doc, r
}

func outcomes(r redrive.Report) []redrive.Outcome {
	var all []redrive.Outcome
	for _, m := range r.Results {
		all = append(all, m.Outcome)
	}
	return all
}

func TestRedriveEndsWhileTheConsumerKeepsFailing(t *testing.T) {
	h := newHarness(t)
	h.run("pub-empty", "--topic", orders, "--producer", "a@1", "--source", "b", "--pk", "co_1").wants(t, ExitOK)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		c := ampybus.Consumer{Pattern: orders, Group: "oms", Retry: &ampybus.Retry{Attempts: 1}}
		ended <- h.bus.Consume(ctx, c, func(context.Context, *ampybus.Message) error { return errors.New("always") })
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("consume: %v", err)
		}
	}()

	policy, _ := ampybus.PolicyFor(ampybus.DomainOrders)
	for round := range policy.Retry.Attempts {
		h.waitForDead(round + 1)
		doc, r := h.redrive("--subject", ordersDead)
		if r.code != ExitOK || doc.Counts[redrive.Redriven] != 1 {
			t.Fatalf("round %d: exit %d, %+v", round, r.code, doc)
		}
	}
	h.waitForDead(policy.Retry.Attempts + 1)
	doc, r := h.redrive("--subject", ordersDead)
	if r.code != ExitPartial || doc.Counts[redrive.Refused] != 1 || !strings.Contains(doc.Results[0].Error, "use force") {
		t.Fatalf("over the budget: exit %d, %+v", r.code, doc)
	}
	if doc, r := h.redrive("--subject", ordersDead, "--force"); r.code != ExitOK || doc.Counts[redrive.Redriven] != 1 {
		t.Fatalf("forced: exit %d, %+v", r.code, doc)
	}
}

// waitForDead waits until n dead letters were ever stored.
func (h *harness) waitForDead(n int) {
	h.t.Helper()
	for _, err := range h.bus.Read(h.t.Context(), ampybus.Range{Pattern: ordersDead, Limit: n, Follow: true}) {
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestRedriveKeepsTheOrderOfAKeyBehindWhatItRefuses(t *testing.T) {
	h := newHarness(t)
	h.dead(orders, "co_1", 99)
	h.dead(orders, "co_1", 0)
	h.dead(orders, "co_2", 0)
	doc, r := h.redrive("--subject", ordersDead)
	if want := []redrive.Outcome{redrive.Refused, redrive.Held, redrive.Redriven}; r.code != ExitPartial || !slices.Equal(outcomes(doc), want) {
		t.Errorf("exit %d, outcomes %v, want %v", r.code, outcomes(doc), want)
	}
}

func TestWhatIsRefusedDoesNotHideTheOthers(t *testing.T) {
	h := newHarness(t)
	for range 5 {
		h.dead(topic, "XNAS.AAPL", 99)
	}
	h.dead("ampy.dev.bars.v1.XNAS.MSFT", "XNAS.MSFT", 0)
	doc, r := h.redrive("--subject", barsDead, "--max", "1")
	if doc.Counts[redrive.Redriven] != 1 || doc.Counts[redrive.Refused] != 1 || doc.Counts[redrive.Held] != 4 || r.code != ExitPartial {
		t.Errorf("exit %d, %+v", r.code, doc)
	}
}

func TestMaxBoundsWhatIsSent(t *testing.T) {
	h := newHarness(t)
	for range 3 {
		h.dead(topic, "XNAS.AAPL", 0)
	}
	doc, r := h.redrive("--subject", barsDead, "--max", "2")
	if doc.Counts[redrive.Redriven] != 2 || r.code != ExitOK {
		t.Errorf("exit %d, %+v", r.code, doc)
	}
	h.run("dlq-inspect", "--subject", barsDead).wants(t, ExitOK, "[dlq] origin=ampy.dev.dlq:3 ")
}

func TestWhatCannotBeSentStaysOpen(t *testing.T) {
	h := newHarness(t)
	for range 5 {
		h.dead(orders, "co_1", 0)
	}
	h.dead(topic, "XNAS.AAPL", 0)
	restore := h.broker.Refuse("ampy.dev.orders.>", ampybus.ErrPermission)
	doc, r := h.redrive("--subject", "ampy.dev.dlq.v1.>")
	if doc.Counts[redrive.Failed] != 1 || doc.Counts[redrive.Held] != 4 || doc.Counts[redrive.Redriven] != 1 || r.code != ExitPartial {
		t.Errorf("exit %d, %+v", r.code, doc)
	}
	restore()
	if doc, r := h.redrive("--subject", "ampy.dev.dlq.v1.>"); doc.Counts[redrive.Redriven] != 5 || r.code != ExitOK {
		t.Errorf("later: exit %d, %+v", r.code, doc)
	}
}

func TestRedriveGivesUpAfterFailuresInARow(t *testing.T) {
	h := newHarness(t)
	for i := range 10 {
		h.dead(orders, "co_"+string(rune('0'+i)), 0)
	}
	defer h.broker.Refuse("ampy.dev.orders.>", ampybus.ErrPermission)()
	doc, r := h.redrive("--subject", ordersDead)
	if doc.Counts[redrive.Failed] != maxFailuresInRow || r.code != ExitPartial || !strings.Contains(r.err, "failures in a row") {
		t.Errorf("exit %d, %+v", r.code, doc)
	}
}

func TestADryRunSendsNothingAndRefusesTheSame(t *testing.T) {
	h := newHarness(t)
	h.dead(topic, "XNAS.AAPL", 0)
	h.dead(topic, "XNAS.AAPL", 99)
	doc, r := h.redrive("--subject", barsDead, "--dry-run")
	if want := []redrive.Outcome{redrive.Would, redrive.Refused}; !slices.Equal(outcomes(doc), want) || !doc.DryRun || r.code != ExitPartial {
		t.Errorf("exit %d, outcomes %v, want %v", r.code, outcomes(doc), want)
	}
	if got := h.topics("ampy.dev.>"); !slices.Equal(got, []string{barsDead, barsDead}) {
		t.Errorf("the broker holds %v", got)
	}
}

func TestAForgedTargetIsRefusedAndTheOthersAreSent(t *testing.T) {
	h := newHarness(t)
	forged := ampybus.NewHeaders("ampy.bars.v1.BarBatch", "evil@1", "evil", "co_1")
	forged.DLQ = ampybus.DLQInfo{Reason: "handler: no", Topic: orders, Group: "g", Origin: "log:1"}
	h.store(driver.Record{Topic: barsDead, Key: "co_1", Headers: ampybus.EncodeHeaders(forged)})
	h.dead(topic, "XNAS.AAPL", 0)
	doc, r := h.redrive("--subject", barsDead, "--force")
	if want := []redrive.Outcome{redrive.Refused, redrive.Redriven}; !slices.Equal(outcomes(doc), want) || r.code != ExitPartial {
		t.Errorf("exit %d, %+v, want %v", r.code, doc, want)
	}
	if got := h.topics("ampy.dev.orders.>"); len(got) != 0 {
		t.Errorf("the forged one reached %v", got)
	}
}

func TestProgressIsDrawnOnATerminalOnly(t *testing.T) {
	h := newHarness(t)
	h.dead(topic, "XNAS.AAPL", 0)
	if r := h.run("dlq-redrive", "--subject", barsDead); strings.ContainsRune(r.err, '\r') {
		t.Errorf("progress in a file: %q", r.err)
	}
	h.dead(topic, "XNAS.AAPL", 0)
	h.screen = true
	if r := h.run("dlq-redrive", "--subject", barsDead); !strings.Contains(r.err, "\r1 of 1\r") || strings.ContainsRune(r.out, '\r') {
		t.Errorf("stderr %q, stdout %q", r.err, r.out)
	}
}

func TestDiscardSettlesAndSendsNothing(t *testing.T) {
	h := newHarness(t)
	gone := h.dead(topic, "XNAS.AAPL", 0)
	h.dead(topic, "XNAS.AAPL", 0)
	h.run("dlq-discard", "--subject", barsDead, "--message-id", gone.MessageID, "--reason", "resent by the vendor").
		wants(t, ExitOK, "[discard] origin=ampy.dev.dlq:1 msg_id="+gone.MessageID)
	r := h.run("dlq-inspect", "--subject", barsDead)
	r.wants(t, ExitOK, "origin=ampy.dev.dlq:2 ")
	if strings.Contains(r.out, gone.MessageID) {
		t.Errorf("still open: %s", r.out)
	}
	h.run("dlq-inspect", "--subject", barsDead, "--all").wants(t, ExitOK, "settled=discarded")
	if got := h.topics("ampy.dev.bars.>"); len(got) != 0 {
		t.Errorf("discard sent %v", got)
	}
}

func TestFiltersSelectDeadLetters(t *testing.T) {
	h := newHarness(t)
	a := h.dead(topic, "XNAS.AAPL", 0)
	b := h.dead("ampy.dev.bars.v1.XNAS.MSFT", "XNAS.MSFT", 0)
	for _, c := range []struct {
		flags []string
		want  []string
	}{
		{[]string{"--pk", "XNAS.MSFT"}, []string{b.MessageID}},
		{[]string{"--message-id", a.MessageID}, []string{a.MessageID}},
		{[]string{"--group", "g", "--code", "handler"}, []string{a.MessageID, b.MessageID}},
		{[]string{"--max", "1"}, []string{a.MessageID}},
		{[]string{"--since", "1h", "--durable", "busctl-dlqinspect"}, []string{a.MessageID, b.MessageID}},
	} {
		r := h.run(append([]string{"dlq-inspect", "--subject", barsDead}, c.flags...)...)
		if n := strings.Count(r.out, "[dlq]"); r.code != ExitOK || n != len(c.want) {
			t.Errorf("%v: exit %d, %d dead letters, want %d", c.flags, r.code, n, len(c.want))
		}
		for _, id := range c.want {
			if !strings.Contains(r.out, id) {
				t.Errorf("%v: no %s in %s", c.flags, id, r.out)
			}
		}
	}
	h.run("dlq-inspect", "--subject", barsDead, "--code", "decode").wants(t, ExitNothing, "no open dead letter")
}
