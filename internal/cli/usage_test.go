package cli

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func eachCommand(visit func(p Program, cmd *cobra.Command)) {
	for _, p := range []Program{Ampybusctl(), Benchnats(), Kafkabusctl(), Kafkainspect(), Kafkapoison(), Benchkafka()} {
		a := &app{prog: p, in: strings.NewReader(""), out: io.Discard, err: io.Discard}
		root := a.root()
		if p.Root != nil {
			visit(p, root)
		}
		eachBelow(root, func(cmd *cobra.Command) { visit(p, cmd) })
	}
}

// eachBelow visits the commands below cmd that do something.
func eachBelow(cmd *cobra.Command, visit func(*cobra.Command)) {
	for _, sub := range cmd.Commands() {
		if !sub.HasSubCommands() {
			visit(sub)
		}
		eachBelow(sub, visit)
	}
}

func TestEveryCommandHasAnExampleOfFlagsThatExist(t *testing.T) {
	flag := regexp.MustCompile(`(?:^|\s)(--?[a-z][a-z-]*)`)
	eachCommand(func(_ Program, cmd *cobra.Command) {
		if cmd.Short == "" || !strings.Contains(cmd.Example, cmd.Name()) {
			t.Errorf("%s: no description or no example", cmd.Name())
		}
		for _, m := range flag.FindAllStringSubmatch(cmd.Example, -1) {
			name := strings.TrimLeft(m[1], "-")
			if cmd.Flags().Lookup(name) == nil && cmd.Flags().ShorthandLookup(name) == nil {
				t.Errorf("%s: the example uses %s, which does not exist", cmd.Name(), m[1])
			}
		}
	})
}

func TestFlagsThatMeanTheSameHaveTheSameName(t *testing.T) {
	text := map[string]string{}
	eachCommand(func(_ Program, cmd *cobra.Command) {
		if f := cmd.Flags().Lookup("nats"); f != nil {
			if text["nats"] != "" && text["nats"] != f.Usage {
				t.Errorf("%s: --nats differs from the other commands'", cmd.Name())
			}
			text["nats"] = f.Usage
		}
	})
	if text["nats"] == "" {
		t.Fatal("no command connects")
	}
}

const topic = "ampy.dev.bars.v1.XNAS.AAPL"

// pubEmpty with one more or one other flag.
func pubEmptyArgs(flags ...string) []string {
	return append([]string{"pub-empty", "--topic", topic, "--producer", "a@1", "--source", "b", "--pk", "XNAS.AAPL"}, flags...)
}

func TestABadFlagIsNamedWithTheFix(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sbu"}, "unknown command sbu; did you mean sub?"},
		{[]string{"pub-emtpy", "--topic", "x"}, "did you mean pub-empty?"},
		{[]string{"sub", "--subejct", "x"}, "did you mean --subject?"},
		{[]string{"sub", "-x"}, "unknown flag -x"},
		{[]string{"sub", "--subject", "ampy.>", "x y"}, `unexpected argument "x y"`},
		{[]string{"sub", "--subject", "ampy.prod..>"}, "--subject: empty token"},
		{[]string{"sub", "--subject", "ampy.>", "--max", "0"}, "--max: 0 is not a whole number from 1"},
		{[]string{"sub", "--subject", "ampy.>", "--max", "-1"}, "--max: -1 is not"},
		{[]string{"sub", "--subject", "ampy.>", "--max", "1e9"}, "--max: 1e9 is not"},
		{[]string{"sub", "--subject", "ampy.>", "--timeout", "0s"}, "--timeout: 0s is not a duration above zero"},
		{[]string{"sub", "--subject", "ampy.>", "--durable", "x y"}, "--durable: not a legal group name"},
		{[]string{"sub", "--subject", "ampy.>", "--durable", "*"}, "--durable: not a legal group name"},
		{[]string{"sub", "--subject", "ampy.>", "--durable", strings.Repeat("g", 300)}, "--durable: not a legal group name"},
		{[]string{"sub", "--subject", "ampy.>", "--durable", "../x"}, "--durable: not a legal group name"},
		{[]string{"sub", "--subject", "ampy.>", "--log-level", "loud"}, "--log-level: loud is not one of"},
		{[]string{"lag", "--group", "a.b"}, "--group: not a legal group name"},
		{[]string{"dlq-inspect", "--subject", "ampy.prod.bars.v1.>"}, "--subject: reaches beyond the dlq domain"},
		{[]string{"dlq-inspect", "--subject", "ampy.prod.dlq.v1.>", "--max", "abc"}, "--max: abc is not"},
		{[]string{"dlq-redrive", "--subject", "ampy.prod.dlq.v1.>", "--payload", "f"}, "--message-id"},
		{[]string{"dlq-inspect", "--subject", "ampy.prod.dlq.v1.>", "--where", "retry_count <"}, "--where: not a condition"},
		{[]string{"dlq-inspect", "--subject", "ampy.prod.dlq.v1.>", "--where", "a) || (b"}, "--where: not a condition"},
		{[]string{"dlq-redrive", "--subject", "ampy.prod.dlq.v1.>", "--where", "size"}, "--where: not a condition"},
		{[]string{"dlq-redrive", "--subject", "ampy.prod.dlq.v1.>", "--code", "[a"}, "--code: not a glob"},
		{[]string{"dlq-redrive", "--subject", "ampy.prod.dlq.v1.>", "--audit", "/dev/null"}, "--audit: /dev/null: not a regular file"},
		{[]string{"dlq", "pln"}, "unknown command pln; did you mean plan?"},
		{[]string{"dlq", "shwo", "--origin", "x"}, "unknown command shwo; did you mean show?"},
		{[]string{"dlq", "plan"}, "missing: --subject"},
		{[]string{"dlq", "plan", "--subject", "ampy.prod.bars.v1.>"}, "--subject: reaches beyond the dlq domain"},
		{[]string{"dlq", "plan", "--subject", "ampy.prod.dlq.v1.>", "--reason", "["}, "--reason: not a glob"},
		{[]string{"dlq", "plan", "--subject", "ampy.prod.dlq.v1.>", "--key", "["}, "--key: not a glob"},
		{[]string{"dlq", "plan", "--subject", "ampy.prod.dlq.v1.>", "--topic", "ampy..x"}, "--topic: empty token"},
		{[]string{"dlq", "plan", "--subject", "ampy.prod.dlq.v1.>", "--until", "2h", "--since", "1h"}, "--until: not after since"},
		{[]string{"dlq", "plan", "--subject", "ampy.prod.dlq.v1.>", "--limit", "0"}, "--limit: 0 is not"},
		{[]string{"dlq", "show", "--subject", "ampy.prod.dlq.v1.>"}, "--origin, --message-id: give one of them"},
		{[]string{"dlq", "edit", "--subject", "ampy.prod.dlq.v1.>", "--origin", "a:1", "--message-id", "b"}, "--origin, --message-id: give one of them"},
		{[]string{"dlq", "edit", "--subject", "ampy.prod.dlq.v1.>", "--origin", "a:1", "--outdir", "/proc/self/x"}, "--outdir: "},
		{[]string{"dlq", "apply", "--plan", "p"}, "missing: --reason"},
		{[]string{"dlq", "apply", "--plan", "nowhere.json", "--reason", "r"}, "--plan: "},
		{[]string{"dlq", "apply", "--plan", "/dev/zero", "--reason", "r"}, "--plan: read /dev/zero: not a regular file"},
		{[]string{"dlq", "apply", "--plan", "-", "--reason", "r"}, "--plan: read plan: "},
		{[]string{"dlq-discard", "--subject", "ampy.prod.dlq.v1.>", "--reason", "x"}, "say which: --message-id"},
		{[]string{"dlq-discard", "--subject", "ampy.prod.dlq.v1.>", "--code", "x"}, "missing: --reason"},
		{[]string{"bench-pub", "--topic", topic, "--count", "1000000000"}, "--count: 1000000000 is not"},
		{[]string{"bench-pub", "--topic", "ampy.dev.bars.v1.*"}, "--topic: wildcard"},
		{[]string{"server", "--port", "70000"}, "--port: 70000 is not"},
		{[]string{"server", "--user", "x"}, "--user and --pass-file belong together"},
		{[]string{"pub", "--topic", topic, "--producer", "a@1", "--source", "b", "--hex", "abc"}, "--hex: "},
		{[]string{"pub", "--topic", topic, "--producer", "a@1", "--source", "b", "--hex", "00", "--json", "{}"}, "give one of them"},
		{[]string{"pub", "--topic", topic, "--producer", "a@1", "--source", "b", "--file", "/dev/zero"}, "--file: read /dev/zero: not a regular file"},
		{[]string{"pub", "--topic", topic, "--producer", "a@1", "--source", "b", "--schema", "ampy.bars.v1.Nothing", "--json", "{}"}, "--schema: unknown payload schema"},
		{pubEmptyArgs("--header", "novalue"), "--header: novalue is not name=value"},
		{pubEmptyArgs("--header", "Nats-Rollup=all"), "--header: "},
		{pubEmptyArgs("--header", "x-note=a\x1bb"), "--header: "},
		{pubEmptyArgs("--pk", "XNAS.MSFT"), "--pk: "},
		{pubEmptyArgs("--pk", strings.Repeat("k", 513)), "--pk: "},
		{pubEmptyArgs("--message-id", "1"), "--message-id: "},
		{pubEmptyArgs("--schema", "../x"), "--schema: "},
		{pubEmptyArgs("--schema", "ampy.orders.v1.OrderRequest"), "--schema: "},
		{pubEmptyArgs("--schema-hash", "x"), "--schema-hash: "},
		{pubEmptyArgs("--dedupe-key", "x "), "--dedupe-key: "},
		{pubEmptyArgs("--topic", "ampy.dev.bars.v1.X\r\nPUB evil 1\r\nX"), "--topic: control character"},
		{pubEmptyArgs("--topic", "$JS.API.STREAM.DELETE.S"), "--topic: prefix"},
		{pubEmptyArgs("--topic", "ampy.dev.bars.v01.X"), "--topic: version"},
		{pubEmptyArgs("--producer", ""), "missing: --producer"},
	} {
		checkUsage(t, c.args, c.want, newHarness(t).run(c.args...))
	}
}

func TestABadAddressIsNamedWithTheFix(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{pubEmptyArgs("--bus", "redis://h:1"), "--bus or --nats: no broker is reached by redis://"},
		{pubEmptyArgs("--bus", "kafka://"), "--brokers: an empty broker"},
		{pubEmptyArgs("--bus", "kafka://host"), "--brokers: \"host\" is not host:port"},
		{pubEmptyArgs("--bus", "kafka://host:99999"), "--brokers: port \"99999\""},
		{pubEmptyArgs("--bus", "kafka://[::1"), "--brokers: "},
		{pubEmptyArgs("--bus", "kafka://"+strings.Repeat("h:1,", 199)+"h:1"), "--brokers: 200 brokers, the limit is"},
		{pubEmptyArgs("--bus", "kafka://h:9092", "--token", "t"), "--token: Kafka has no such login"},
		{pubEmptyArgs("--sasl", "PLAIN"), "--sasl: it is for Kafka"},
		{pubEmptyArgs("--bus", "nats://a", "--nats", "nats://b"), "--bus and --nats name different brokers"},
		{pubEmptyArgs("--nats", "[::1"), "--nats: "},
		{pubEmptyArgs("--nats", "http://h"), "--bus or --nats: no broker is reached by http://"},
		{pubEmptyArgs("--nats", strings.Repeat("nats://h,", 200)), "--nats: "},
	} {
		checkUsage(t, c.args, c.want, dialed(t, c.args))
	}
}

func checkUsage(t *testing.T, args []string, want string, r result) {
	t.Helper()
	if r.code != ExitUsage || !strings.Contains(r.err, want) || r.out != "" {
		t.Errorf("%q: exit %d, want %q and exit 2\nstdout: %s\nstderr: %s", args, r.code, want, r.out, r.err)
	}
	if !strings.Contains(r.err, "--help") {
		t.Errorf("%q: stderr does not say where help is: %s", args, r.err)
	}
}

// dialed runs a command that really connects.
func dialed(t *testing.T, args []string) result {
	t.Helper()
	var out, errs buffer
	code := Main(t.Context(), Ampybusctl(), args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return result{out.String(), errs.String(), code}
}

func TestAPersonIsNotWaitedFor(t *testing.T) {
	var out, errs buffer
	code := Main(t.Context(), Ampybusctl(), []string{"pub", "--topic", topic, "--producer", "a@1", "--source", "b"},
		Streams{In: neverRead{t}, Out: &out, Err: &errs, InTerminal: true})
	result{out.String(), errs.String(), code}.wants(t, ExitUsage, "no payload: give --json")
}

type neverRead struct{ t *testing.T }

func (r neverRead) Read([]byte) (int, error) {
	r.t.Error("read from a terminal")
	return 0, io.EOF
}
