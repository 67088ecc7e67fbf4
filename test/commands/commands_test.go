// Package commands runs the scripts in testdata, which show how the commands are
// used and prove that they do what the scripts say. Each script has a NATS
// server of its own, at $NATS_URL.
package commands

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/cli"
	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ampybusctl":   func() { run(cli.Ampybusctl()) },
		"benchnats":    func() { run(cli.Benchnats()) },
		"kafkabusctl":  func() { run(cli.Kafkabusctl()) },
		"kafkainspect": func() { run(cli.Kafkainspect()) },
		"kafkapoison":  func() { run(cli.Kafkapoison()) },
		"benchkafka":   func() { run(cli.Benchkafka()) },
	})
}

func run(p cli.Program) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Main(ctx, p, os.Args[1:], cli.OSStreams()))
}

// scriptTimeout is far above what all scripts take together, also with the race
// detector on a loaded machine: each command is a process of its own.
const scriptTimeout = 8 * time.Minute

func TestCommands(t *testing.T) {
	p := params(t)
	p.Dir = "testdata"
	testscript.Run(t, p)
}

// The commands for Kafka do on a real one what they do on the embedded one.
func TestKafkaCommandsOnRealKafka(t *testing.T) {
	for _, script := range []string{"kafka.txtar", "kafkapoison.txtar", "bridge.txtar"} {
		t.Run(script, func(t *testing.T) {
			brokers := strings.Join(brokertest.StartKafka(t, 1).Addrs(), ",")
			p := params(t)
			p.Files = []string{filepath.Join("testdata", script)}
			p.Cmds["kafkaserver"] = func(ts *testscript.TestScript, _ bool, _ []string) { ts.Setenv("KAFKA_BROKERS", brokers) }
			testscript.Run(t, p)
		})
	}
}

// params are those of every script.
func params(t *testing.T) testscript.Params {
	t.Helper()
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	return testscript.Params{
		Deadline: time.Now().Add(scriptTimeout), // a command that hangs fails its script
		Setup: func(e *testscript.Env) error {
			s, err := natsserver.Start(natsserver.Config{Port: natsserver.RandomPort, StoreDir: filepath.Join(e.WorkDir, ".nats")})
			if err != nil {
				return err
			}
			e.Defer(s.Close)
			e.Setenv("NATS_URL", s.URL())
			e.Setenv("NATS_ADDR", strings.TrimPrefix(s.URL(), "nats://"))
			e.Setenv("EXAMPLES", examples)
			e.Setenv("FREE_PORT", strconv.Itoa(brokertest.FreePort(t)))
			e.Setenv("MONITOR_PORT", strconv.Itoa(brokertest.FreePort(t)))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"capture":     capture,
			"code":        code,
			"waitport":    waitPort,
			"authserver":  authServer,
			"kafkaserver": kafkaServer,
			"foreign":     foreign,
			"tlsserver":   func(ts *testscript.TestScript, _ bool, _ []string) { tlsServer(t, ts) },
		},
	}
}

// code N PROGRAM ARGS... runs a program that must end with exit code N.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// capture NAME REGEXP sets a variable to what the expression's group matches in
// the last command's stdout.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// waitport PORT waits until something listens there.
func waitPort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitport PORT")
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", args[0]))
		if err == nil {
			ts.Check(c.Close())
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nothing listens: %v", err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// authserver USER PASSWORD starts a server at $AUTH_URL that wants a login.
func authServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: authserver USER PASSWORD")
	}
	s, err := natsserver.Start(natsserver.Config{
		Port: natsserver.RandomPort, StoreDir: ts.MkAbs(".auth"), User: args[0], Pass: args[1],
	})
	ts.Check(err)
	ts.Defer(s.Close)
	ts.Setenv("AUTH_URL", fmt.Sprintf("nats://%s", s.Native().Addr()))
}

// kafkaserver [USER PASSWORD] starts an embedded Kafka at $KAFKA_BROKERS.
func kafkaServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 && len(args) != 2 {
		ts.Fatalf("usage: kafkaserver [USER PASSWORD]")
	}
	c := kafkaserver.Config{}
	if len(args) == 2 {
		c.User, c.Pass = args[0], args[1]
	}
	s, err := kafkaserver.Start(c)
	ts.Check(err)
	ts.Defer(s.Close)
	ts.Setenv("KAFKA_BROKERS", strings.Join(s.Addrs(), ","))
}

// foreign TOPIC NAME VALUE stores a Kafka record as no program of the bus does:
// without the bus's headers, with one of any name and value.
func foreign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: foreign TOPIC NAME VALUE")
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(ts.Getenv("KAFKA_BROKERS"), ",")...), kgo.AllowAutoTopicCreation())
	ts.Check(err)
	defer cl.Close()
	r := &kgo.Record{Topic: args[0], Headers: []kgo.RecordHeader{{Key: args[1], Value: []byte(args[2])}}}
	ts.Check(cl.ProduceSync(context.Background(), r).FirstErr())
}

// tlsserver starts a server at $TLS_URL that wants a certificate, and writes
// certificates for clients.
func tlsServer(t *testing.T, ts *testscript.TestScript) {
	ca, stranger := brokertest.NewCA(t, "desk"), brokertest.NewCA(t, "stranger")
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	write := func(name string, data []byte) { ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o600)) }
	write("ca.pem", ca.PEM())
	write("stranger-ca.pem", stranger.PEM())
	for name, issue := range map[string]func() (cert, key []byte){
		"client":   func() ([]byte, []byte) { return ca.Issue("client", soon) },
		"expired":  func() ([]byte, []byte) { return ca.Issue("client", past) },
		"stranger": func() ([]byte, []byte) { return stranger.Issue("client", soon) },
	} {
		cert, key := issue()
		write(name+"-cert.pem", cert)
		write(name+"-key.pem", key)
	}
	s, err := natsserver.Start(natsserver.Config{
		Port: natsserver.RandomPort, StoreDir: ts.MkAbs(".tls"),
		TLS: ca.ServerTLS(ca.Pool()),
	})
	ts.Check(err)
	ts.Defer(s.Close)
	ts.Setenv("TLS_URL", fmt.Sprintf("tls://%s", s.Native().Addr()))
}
