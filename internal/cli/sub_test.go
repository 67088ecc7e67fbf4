package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// stopWhen ends a context when a text is printed: Ctrl+C at the right moment.
type stopWhen struct {
	buffer
	text string
	stop context.CancelFunc
}

func (s *stopWhen) Write(p []byte) (int, error) {
	n, err := s.buffer.Write(p)
	if strings.Contains(s.String(), s.text) {
		s.stop()
	}
	return n, err
}

func TestCtrlCEndsASubscriptionWithoutAFailure(t *testing.T) {
	for _, args := range [][]string{nil, {"--from", "all"}, {"--durable", "g"}, {"--max", "5"}} {
		h := newHarness(t)
		ctx, stop := context.WithCancel(t.Context())
		p := Ampybusctl()
		p.Dial = func(context.Context, Endpoint) (driver.Transport, error) { return h.broker.Transport(), nil }
		var out buffer
		errs := &stopWhen{text: "[sub] listening on ampy.dev.>", stop: stop}
		code := Main(ctx, p, append([]string{"sub", "--subject", "ampy.dev.>"}, args...), Streams{In: strings.NewReader(""), Out: &out, Err: errs})
		if code != ExitOK {
			t.Errorf("%v: exit code %d, stderr %s", args, code, errs.String())
		}
	}
}

func TestAGroupKeepsWhatWasNotPrinted(t *testing.T) {
	h := newHarness(t)
	for range 3 {
		h.run(pubEmptyArgs()...).wants(t, ExitOK)
	}
	for range 3 {
		r := h.run("sub", "--subject", "ampy.dev.>", "--durable", "g", "--max", "1", "--timeout", "10s")
		if r.code != ExitOK || strings.Count(r.out, "[consume]") != 1 {
			t.Fatalf("exit %d: %s%s", r.code, r.out, r.err)
		}
	}
	h.run("lag", "--group", "g").wants(t, ExitOK, "pending: 0")
	if dead := h.topics("ampy.dev.dlq.>"); len(dead) != 0 {
		t.Errorf("looking at messages made dead letters: %v", dead)
	}
}

func TestAnUncertainPublishSaysHowToRepeatIt(t *testing.T) {
	h := newHarness(t)
	p := Ampybusctl()
	p.Dial = func(context.Context, Endpoint) (driver.Transport, error) {
		tr := h.broker.Transport()
		tr.LoseAcks()
		return tr, nil
	}
	var out, errs buffer
	code := Main(t.Context(), p, pubEmptyArgs("--timeout", "200ms"), Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	r := result{out.String(), errs.String(), code}
	r.wants(t, ExitTimeout, "it may be stored: publish it again with --message-id ")
	if r.out != "" {
		t.Errorf("an acknowledgement that never came: %s", r.out)
	}
	if n := len(h.topics("ampy.dev.bars.>")); n > 1 {
		t.Errorf("stored %d times", n)
	}
}

func TestABrokenMessageIsShownWithItsFault(t *testing.T) {
	h := newHarness(t)
	h.store(driver.Record{Topic: topic, Key: "k", Headers: []driver.Header{{Name: ampybus.HeaderProducer, Value: "x"}}, Value: []byte{1}})
	h.run("sub", "--subject", "ampy.dev.>", "--no-follow").wants(t, ExitOK, "size=1", `error="message `)
	h.run("sub", "--subject", "ampy.dev.>", "--no-follow", "-o", "json").wants(t, ExitOK, `"payload_base64":"AQ=="`, `"error":"message `)
}
