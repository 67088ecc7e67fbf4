package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/examples/data"
	"github.com/AmpyFin/ampy-bus/examples/go/bars"
	"github.com/AmpyFin/ampy-bus/examples/go/positions"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

// TestMain lets the test binary be what the demo starts: itself, as a service.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && services()[os.Args[1]] != nil {
		main()
	}
	os.Exit(m.Run())
}

func TestDemoWithAKilledProcessProvesItself(t *testing.T) {
	for kind := range embedded() {
		t.Run(kind, func(t *testing.T) { provesItself(t, "--embedded", kind) })
	}
}

func TestDemoProvesItselfOnRealKafka(t *testing.T) {
	provesItself(t, "--bus", "kafka://"+brokertest.StartKafka(t, 1).Addrs()[0])
}

func provesItself(t *testing.T, on ...string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append(on, "--bars", "60", "--pace", "2ms"), &stdout, &stderr)
	if code != exitOK {
		t.Fatalf("exit %d\n%s\n%s", code, &stdout, &stderr)
	}
	for _, want := range []string{
		"kill -9", "redriven", "decode_error: invalid decimal scale",
		"all 120 days", "nothing lost, nothing reordered, nothing applied twice",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the output does not say %q:\n%s", want, &stdout)
		}
	}
}

func TestWrongUsageIsRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--bars", "10"}, {"--bars", "-1"}, {"--pace", "-1s"}, {"--nonsense"}, {"--embedded", "rabbit"}, {"nonsense"}, {"oms", "--since", "yesterday"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("%q: exit %d, stderr %q; want %d and the usage", args, code, &stderr, exitUsage)
		}
	}
}

func TestUnreachableBrokerIsAnErrorThatSaysWhatToDo(t *testing.T) {
	for _, url := range []string{"nats://127.0.0.1:1", "kafka://127.0.0.1:1"} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"--bars", "60", "--bus", url}, &stdout, &stderr)
		if code != exitError || !strings.Contains(stderr.String(), "start ") {
			t.Errorf("%s: exit %d, stderr %q", url, code, &stderr)
		}
	}
}

// play plays a short session on a broker in memory, under virtual time, and
// hands over what came of it. The transport of the positions service goes
// through tamper, which may be nil.
func play(t *testing.T, tamper func(driver.Transport) driver.Transport, judge func(e *Evidence, err error)) {
	t.Helper()
	weeks, err := bars.Weeks(data.Files, leastBars)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		memory := membinding.New(membinding.Config{})
		s := &Session{
			Open: func(o ampybus.Observer) (*ampybus.Bus, error) {
				return memory.Connect(ampybus.Options{Observer: o}), nil
			},
			Weeks: weeks, Pace: 10 * time.Millisecond, Out: t.Output(),
			Config: service.Config{Env: "dev", RunID: "test", Lease: shortLease},
		}
		s.StartPositions = func(ctx context.Context, name string) (Instance, error) {
			return startInMemory(ctx, s.Config, name, memory, tamper), nil
		}
		judge(s.run(t.Context()))
	})
}

// inMemory is an instance of the positions service that shares the process, but
// not the connection.
type inMemory struct {
	connection *membinding.Transport
	cancel     context.CancelFunc
	ended      chan error
}

func startInMemory(ctx context.Context, c service.Config, name string, memory *membinding.Broker, tamper func(driver.Transport) driver.Transport) *inMemory {
	ctx, cancel := context.WithCancel(ctx)
	i := &inMemory{memory.Transport(), cancel, make(chan error, 1)}
	open := func(o ampybus.Observer) (*ampybus.Bus, error) {
		var t driver.Transport = i.connection
		if tamper != nil {
			t = tamper(t)
		}
		return ampybus.New(t, ampybus.Options{Observer: o}), nil
	}
	c.Instance = name
	go func() { i.ended <- service.Host(ctx, open, positions.Name, positions.Run, c) }()
	return i
}

func (i *inMemory) Kill() error {
	i.connection.Crash()
	if err := <-i.ended; err == nil {
		return errors.New("the instance did not notice that it was killed")
	}
	return nil
}

func (i *inMemory) Stop() error {
	i.cancel()
	return <-i.ended
}
