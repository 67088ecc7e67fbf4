package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

// harness runs commands on a broker in memory. They leave no goroutine behind.
type harness struct {
	t      *testing.T
	broker *membinding.Broker
	bus    *ampybus.Bus // of the test itself
	stdin  string
	err    error // what connecting answers
	screen bool  // stderr is a terminal
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	for _, name := range []string{"URL", "USER", "PASS", "TOKEN", "CREDS", "NKEY_SEED", "TLS_CA", "TLS_CERT", "TLS_KEY"} {
		t.Setenv("NATS_"+name, "")
	}
	broker := membinding.New(membinding.Config{})
	bus := broker.Connect(ampybus.Options{})
	t.Cleanup(func() { _ = bus.Close() })
	return &harness{t: t, broker: broker, bus: bus}
}

// result is what a command did.
type result struct {
	out, err string
	code     int
}

func (h *harness) run(args ...string) result {
	h.t.Helper()
	return h.program(Ampybusctl(), args...)
}

func (h *harness) program(p Program, args ...string) result {
	h.t.Helper()
	p.Dial = func(context.Context, Endpoint) (driver.Transport, error) {
		if h.err != nil {
			return nil, h.err
		}
		return h.broker.Transport(), nil
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	var out, errs buffer
	code := Main(ctx, p, args, Streams{In: strings.NewReader(h.stdin), Out: &out, Err: &errs, ErrTerminal: h.screen})
	return result{out.String(), errs.String(), code}
}

// buffer may be written by several goroutines, as a terminal may.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var _ io.Writer = (*buffer)(nil)

// wants fails the test unless the command ended with code, and its output holds
// all texts.
func (r result) wants(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.err)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.err, text) {
			t.Errorf("no %q in\nstdout: %s\nstderr: %s", text, r.out, r.err)
		}
	}
}

// store puts a record on the broker as somebody would who keeps no contract.
func (h *harness) store(rec driver.Record) {
	h.t.Helper()
	done := make(chan error, 1)
	h.bus.Transport().Publish([]driver.Record{rec}, func(_ int, o driver.Outcome) { done <- o.Err })
	if err := <-done; err != nil {
		h.t.Fatal(err)
	}
}

// dead stores a dead letter of target with a key, redriven retries times.
func (h *harness) dead(target, key string, retries int) ampybus.Headers {
	h.t.Helper()
	topic, err := ampybus.ParseTopic(target)
	if err != nil {
		h.t.Fatal(err)
	}
	policy, _ := ampybus.PolicyFor(topic.Domain)
	hs := ampybus.NewHeaders(policy.DefaultSchema, "test@1", "test", key)
	hs.RunID, hs.RetryCount, hs.Topic = "run", retries, topic.DLQ().String()
	hs.DLQ = ampybus.DLQInfo{Reason: "handler: no", Topic: target, Group: "g", Attempts: 3, At: time.Now().UTC(), Origin: "log:1"}
	h.store(driver.Record{Topic: hs.Topic, Key: key, Headers: ampybus.EncodeHeaders(hs)})
	return hs
}

// topics lists the topics of what is stored under pattern.
func (h *harness) topics(pattern string) []string {
	h.t.Helper()
	var topics []string
	for m, err := range h.bus.Read(h.t.Context(), ampybus.Range{Pattern: pattern}) {
		if m == nil {
			h.t.Fatal(err)
		}
		topics = append(topics, m.Topic)
	}
	return topics
}

// endpoint is what a command would connect to.
func (h *harness) endpoint(args []string) string {
	h.t.Helper()
	var got string
	p := Ampybusctl()
	p.Dial = func(_ context.Context, e Endpoint) (driver.Transport, error) {
		got = e.String()
		return h.broker.Transport(), nil
	}
	var out, errs buffer
	Main(h.t.Context(), p, args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return got
}
