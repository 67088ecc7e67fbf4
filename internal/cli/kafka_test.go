package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
)

// reaching is what a command of p would connect to.
func reaching(h *harness, p Program, args ...string) (Endpoint, result) {
	h.t.Helper()
	var got Endpoint
	p.Dial = func(_ context.Context, e Endpoint) (driver.Transport, error) {
		got = e
		return h.broker.Transport(), nil
	}
	var out, errs buffer
	code := Main(h.t.Context(), p, args, Streams{In: strings.NewReader(h.stdin), Out: &out, Err: &errs})
	return got, result{out.String(), errs.String(), code}
}

func clearKafkaEnv(t *testing.T) {
	t.Helper()
	for _, name := range []string{"BROKERS", "USER", "PASS", "SASL_MECHANISM", "TLS_CA", "TLS_CERT", "TLS_KEY"} {
		t.Setenv("KAFKA_"+name, "")
	}
}

func TestKafkaIsReachedByItsFlagsURLAndEnvironment(t *testing.T) {
	h := newHarness(t)
	clearKafkaEnv(t)
	for _, c := range []struct {
		p    Program
		args []string
		want []string
	}{
		{Kafkabusctl(), nil, nil},
		{Kafkabusctl(), []string{"--brokers", "a:1,b:2"}, []string{"a:1,b:2"}},
		{Kafkabusctl(), []string{"--bus", "kafka+tls://a:1"}, []string{"kafka+tls://a:1"}},
		{Ampybusctl(), []string{"--bus", "kafka://a:1"}, []string{"kafka://a:1"}},
	} {
		e, _ := reaching(h, c.p, append([]string{"lag", "--group", "g"}, c.args...)...)
		if !e.OnKafka || !slices.Equal(e.Kafka.Brokers, c.want) || e.Kafka.Name != c.p.Name {
			t.Errorf("%s %v: %+v", c.p.Name, c.args, e)
		}
	}
	t.Setenv("KAFKA_BROKERS", "env:1")
	t.Setenv("KAFKA_USER", "alice")
	t.Setenv("KAFKA_PASS", "secret")
	e, r := reaching(h, Kafkabusctl(), "lag", "--group", "g")
	if e.Kafka.Brokers[0] != "env:1" || e.Kafka.User != "alice" || strings.Contains(e.String()+r.err, "secret") || r.code != ExitNothing {
		t.Errorf("%s, exit %d: %s", e, r.code, r.err)
	}
	e, _ = reaching(h, Kafkabusctl(), "lag", "--group", "g", "--user", "bob", "--brokers", "flag:2", "--sasl", "plain")
	if e.Kafka.User != "bob" || e.Kafka.Pass != "secret" || e.Kafka.Brokers[0] != "flag:2" || e.Kafka.Mechanism != "plain" {
		t.Errorf("%+v", e.Kafka)
	}
	e, _ = reaching(h, Ampybusctl(), "lag", "--group", "g")
	if e.OnKafka {
		t.Error("ampybusctl took Kafka's environment for an address")
	}
}

func TestABusTopicNamesItsKafkaTopic(t *testing.T) {
	for _, c := range []struct{ url, topic, want string }{
		{"", "ampy.prod.bars.v1.XNAS.AAPL", "ampy.prod.bars.v1"},
		{"kafka://h:1", "ampy.prod.bars.v1.>", "ampy.prod.bars.v1"},
		{"", "ampy.*.orders.v1.*", "ampy.*.orders.v1"},
		{"", "ampy.prod.>", "ampy.prod.>"},
		{"kafka://h:1?partitioner=fnv1a&layout=full", "ampy.prod.bars.v1.XNAS.AAPL", "ampy.prod.bars.v1.XNAS.AAPL"},
		{"kafka://h:1?layout=fuller", "ampy.prod.bars.v1.XNAS.AAPL", "ampy.prod.bars.v1"},
	} {
		if got := kafkaTopicOf(c.url, c.topic); got != c.want {
			t.Errorf("%s at %q: %s, want %s", c.topic, c.url, got, c.want)
		}
	}
}

func TestTheClientLibraryIsReachedAsTheBindingIs(t *testing.T) {
	for _, c := range []struct {
		brokers []string
		want    []string
		user    string
		tls     bool
	}{
		{nil, []string{kafkabinding.DefaultBroker}, "u", false},
		{[]string{"a:1,b:2"}, []string{"a:1", "b:2"}, "u", false},
		{[]string{"kafka+tls://x:p%40ss@a:1,b:2/?layout=full"}, []string{"a:1", "b:2"}, "x", true},
	} {
		got, err := withoutURL(kafkabinding.Config{Brokers: c.brokers, User: "u", Pass: "p@ss"})
		if err != nil || !slices.Equal(got.Brokers, c.want) || got.User != c.user || got.Pass != "p@ss" || got.TLS.Enable != c.tls {
			t.Errorf("%v: %+v, %v", c.brokers, got.Brokers, err)
		}
	}
	bad := filepath.Join(t.TempDir(), "nowhere.pem")
	if _, err := kafkaOptions(kafkabinding.Config{TLS: kafkabinding.TLS{CAFile: bad}}); exitCode(err) != ExitUsage {
		t.Errorf("got %v", err)
	}
}

func TestKafkaCommandsRefuseBadFlags(t *testing.T) {
	clearKafkaEnv(t)
	h := newHarness(t)
	poison := []string{"--topic", topic, "--producer", "p@1", "--source", "s", "--pk", "XNAS.AAPL"}
	for _, c := range []struct {
		p    Program
		args []string
		want string
	}{
		{Kafkabusctl(), []string{"sub", "--topic", "ampy.prod..>"}, "--topic: empty token"},
		{Kafkabusctl(), []string{"sub", "--topic", "ampy.>", "--group", "a b"}, "--group: not a legal group name"},
		{Kafkabusctl(), []string{"sub", "--subject", "ampy.>"}, "unknown flag --subject"},
		{Kafkabusctl(), []string{"ensure-topic", "--topic", "ampy.dev.bars.v1.*"}, "--topic: wildcard"},
		{Kafkabusctl(), []string{"ensure-topic", "--topic", topic, "--partitions", "100000"}, "--partitions: 100000 is not"},
		{Kafkabusctl(), []string{"ensure-topic", "--topic", topic, "--replicas", "0"}, "--replicas: 0 is not"},
		{Kafkabusctl(), []string{"offsets", "--topic", topic, "--at", "soon"}, "--at: soon is neither"},
		{Kafkabusctl(), []string{"server", "--port", "70000"}, "--port: 70000 is not"},
		{Kafkabusctl(), []string{"lag", "--group", "g", "--brokers", " "}, "--brokers: empty"},
		{Kafkabusctl(), []string{"sub"}, "missing: --topic"},
		{Kafkainspect(), []string{"describe-topic", "--topic", "ampy.prod.fx.v1.*"}, "--topic: wildcard"},
		{Kafkabusctl(), []string{"lag", "--group", "g", "--brokers", "u:p@h:1"}, "--brokers: a login belongs into --user"},
		{Kafkabusctl(), []string{"lag", "--group", "g", "--bus", "kafka://u:p?w@h:1"}, "--bus: a ? in a password must be written %3F"},
		{Kafkabusctl(), []string{"lag", "--group", "g", "--nats", "nats://h"}, "unknown flag --nats"},
		{Kafkainspect(), []string{"--topic", "ampy.>", "--max", "0"}, "--max: 0 is not"},
		{Kafkainspect(), []string{"consume", "--topic", "ampy.>", "--group", "*"}, "--group: not a legal group name"},
		{Kafkainspect(), []string{"describe-topic", "--topic", "ampy.dev.bars"}, "--topic: "},
		{Kafkainspect(), []string{"list-topic"}, "did you mean list-topics?"},
		{Kafkapoison(), append(slices.Clone(poison), "--kind", "x"), "--kind: x is not encoding or payload"},
		{Kafkapoison(), append(slices.Clone(poison), "--pk", "XNAS.MSFT"), "--pk: "},
		{Benchkafka(), []string{"--topic", topic, "--compare", "x"}, "--compare: x is neither raw nor raw-sync"},
		{Benchkafka(), []string{"--topic", topic, "--count", "-1"}, "--count: -1 is not"},
	} {
		checkUsage(t, append([]string{c.p.Name}, c.args...), c.want, h.program(c.p, c.args...))
	}
}

func TestInspectingBeginsWhereAGroupStandsAndLeavesItThere(t *testing.T) {
	clearKafkaEnv(t)
	h := newHarness(t)
	for range 3 {
		h.run(pubEmptyArgs()...).wants(t, ExitOK)
	}
	h.program(Kafkabusctl(), "sub", "--topic", topic, "--group", "g", "--max", "2").wants(t, ExitOK)
	before := h.program(Kafkabusctl(), "lag", "--group", "g")
	r := h.program(Kafkainspect(), "consume", "--topic", topic, "--group", "g")
	r.wants(t, ExitOK, "[consume]", "[kafka] "+topic+" is in the Kafka topic ampy.dev.bars.v1")
	if n := strings.Count(r.out, "[consume]"); n != 1 {
		t.Errorf("%d messages, want the one that the group has not seen", n)
	}
	if after := h.program(Kafkabusctl(), "lag", "--group", "g"); after != before {
		t.Errorf("the group moved: %+v, before %+v", after, before)
	}
	r = h.program(Kafkainspect(), "--topic", topic, "--group", "unknown", "--max", "2")
	if n := strings.Count(r.out, "[consume]"); r.code != ExitOK || n != 2 {
		t.Errorf("exit %d, %d messages, want the two oldest", r.code, n)
	}
}

func TestPoisonOfBothKindsIsStoredAsItIs(t *testing.T) {
	clearKafkaEnv(t)
	h := newHarness(t)
	for _, kind := range []string{poisonEncoding, poisonPayload} {
		h.program(Kafkapoison(), "--topic", topic, "--producer", "p@1", "--source", "s", "--pk", "XNAS.AAPL", "--kind", kind).
			wants(t, ExitOK, "[poison] stored origin=", "kind="+kind)
	}
	h.run(pubEmptyArgs()...).wants(t, ExitOK)
	h.run("sub", "--subject", topic, "--durable", "g", "--max", "1", "--decode").wants(t, ExitOK)
	h.run("dlq-inspect", "--subject", barsDead).wants(t, ExitOK, "reason=\"decode:gzip: ", "reason=\"decode:proto: ")
}

func TestAPasswordInABusURLIsRemarkedOnAndNotShown(t *testing.T) {
	clearKafkaEnv(t)
	h := newHarness(t)
	_, r := reaching(h, Kafkabusctl(), "lag", "--group", "g", "--bus", "kafka://u:hunter2@h:1", "--log-level", "debug")
	if !strings.Contains(r.err, "the password in --bus is visible") || strings.Contains(r.out+r.err, "hunter2") {
		t.Errorf("%+v", r)
	}
	var out, errs buffer
	Main(t.Context(), Kafkabusctl(), []string{"lag", "--group", "g", "--bus", "kafka://u:hunter2@127.0.0.1:1"}, Streams{In: os.Stdin, Out: &out, Err: &errs})
	if strings.Contains(out.String()+errs.String(), "hunter2") || !strings.Contains(errs.String(), "127.0.0.1:1") {
		t.Errorf("%s", errs.String())
	}
}
