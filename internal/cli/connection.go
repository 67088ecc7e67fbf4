package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
)

// connection holds the flags that say how to reach a broker and as whom.
type connection struct {
	bus, nats, brokers     string
	user, pass, passFile   string
	token, creds, nkey     string
	sasl                   string
	tlsCA, tlsCert, tlsKey string
	tlsFirst               bool
}

// connectionFlags gives cmd the flags of a connection: those of Kafka to a
// program for Kafka, else those of both brokers.
func (a *app) connectionFlags(cmd *cobra.Command) {
	c := &a.conn
	fs := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	fs.SortFlags = false
	if a.prog.Kafka {
		fs.StringVar(&c.brokers, "brokers", "", "some of the cluster's brokers, as `HOST:PORT` with commas (env KAFKA_BROKERS; else "+kafkabinding.DefaultBroker+")")
		fs.StringVar(&c.bus, "bus", "", "the same as a `URL`: kafka://host:port,host:port or kafka+tls://host:port, with ?layout=full&partitioner=fnv1a for ampy-bus 1.x")
	} else {
		fs.StringVar(&c.bus, "bus", "", "`URL` of the broker: nats://host:port, tls://host:port, kafka://host:port,host:port, kafka+tls://host:port")
		fs.StringVar(&c.nats, "nats", "", "`URL` of the NATS server, or several with commas (env NATS_URL; else nats://127.0.0.1:4222)")
	}
	env := a.envPrefix()
	fs.StringVar(&c.user, "user", "", "`NAME` to log in as (env "+env+"_USER)")
	fs.StringVar(&c.pass, "pass", "", "`PASSWORD`; everybody on this machine can see it: prefer --pass-file or env "+env+"_PASS")
	fs.StringVar(&c.passFile, "pass-file", "", "`FILE` that holds the password; - for stdin")
	fs.StringVar(&c.sasl, "sasl", "", "Kafka's `MECHANISM` of login: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN (env KAFKA_SASL_MECHANISM; else SCRAM-SHA-512)")
	if !a.prog.Kafka {
		fs.StringVar(&c.token, "token", "", "`TOKEN`; everybody on this machine can see it: prefer env NATS_TOKEN")
		fs.StringVar(&c.creds, "creds", "", "`FILE` of a JWT and its seed (env NATS_CREDS)")
		fs.StringVar(&c.nkey, "nkey", "", "`FILE` of an nkey seed (env NATS_NKEY_SEED)")
		fs.StringVar(&c.nkey, "nkey-seed", "", "the former name of --nkey")
	}
	fs.StringVar(&c.tlsCA, "tls-ca", "", "`FILE` of the authorities that sign servers (env "+env+"_TLS_CA; else the system's)")
	fs.StringVar(&c.tlsCert, "tls-cert", "", "`FILE` of this client's certificate (env "+env+"_TLS_CERT)")
	fs.StringVar(&c.tlsKey, "tls-key", "", "`FILE` of its key (env "+env+"_TLS_KEY)")
	if !a.prog.Kafka {
		fs.BoolVar(&c.tlsFirst, "tls-first", false, "for servers that greet nobody in plaintext")
	}
	a.addConnection(cmd, fs)
}

// addConnection gives cmd the flags of fs, and those that go with every
// connection.
func (a *app) addConnection(cmd *cobra.Command, fs *pflag.FlagSet) {
	fs.Var(wait{&a.timeout}, "timeout", "give up after this long (exit 7)")
	a.level = "warn"
	fs.Var(&a.level, "log-level", "log to stderr as JSON: "+strings.Join(logLevels(), ", "))
	fs.VisitAll(func(f *pflag.Flag) {
		_ = fs.SetAnnotation(f.Name, connectionFlag, []string{"true"})
		f.Hidden = f.Name == "nkey-seed"
	})
	cmd.Flags().AddFlagSet(fs)
	complete(cmd, "log-level", logLevels()...)
}

// envPrefix begins the names of the environment variables that help names.
func (a *app) envPrefix() string {
	if a.prog.Kafka {
		return "KAFKA"
	}
	return "NATS"
}

// addressFlags are those that name a broker.
func addressFlags() []string { return []string{"bus", "nats", "brokers"} }

// url is the broker's address: a flag's, the environment's, or empty.
func (c *connection) url() (string, error) {
	given := ""
	for flag, url := range map[string]string{"--nats": c.nats, "--brokers": c.brokers} {
		if c.bus != "" && url != "" && c.bus != url {
			return "", usagef("--bus and %s name different brokers: give one of them", flag)
		}
		given = or(given, url)
	}
	return or(c.bus, given), nil
}

// password is that of --pass or --pass-file.
func (a *app) password() (string, error) {
	c := &a.conn
	switch {
	case c.pass != "" && c.passFile != "":
		return "", usagef("--pass and --pass-file are both given: give one of them")
	case c.passFile == "":
		return c.pass, nil
	}
	data, err := readInput(a.in, c.passFile, maxSecretBytes)
	if err != nil {
		return "", usagef("--pass-file: %w", err)
	}
	pass, _, _ := strings.Cut(string(data), "\n")
	if pass = strings.TrimSuffix(pass, "\r"); pass == "" {
		return "", usagef("--pass-file: its first line is empty; it should be the password")
	}
	return pass, nil
}

// maxSecretBytes is far above any password and keeps a wrong file out of memory.
const maxSecretBytes = 64 << 10

// warnVisible tells about secrets on the command line, which ps shows to all.
func (a *app) warnVisible(cmd *cobra.Command) {
	instead := map[string]string{"pass": "--pass-file, --creds or env NATS_PASS", "token": "env NATS_TOKEN"}
	if a.prog.Kafka {
		instead = map[string]string{"pass": "--pass-file or env KAFKA_PASS"}
	}
	for flag, instead := range instead {
		if cmd.Flags().Changed(flag) {
			a.warn("--%s is visible to everybody on this machine (ps): prefer %s", flag, instead)
		}
	}
	for _, flag := range addressFlags() {
		if cmd.Flags().Changed(flag) && strings.Contains(cmd.Flags().Lookup(flag).Value.String(), "@") {
			a.warn("the password in --%s is visible to everybody on this machine (ps): prefer --user and --pass-file", flag)
		}
	}
}

// warn prints a remark about what was asked for.
func (a *app) warn(text string, args ...any) {
	fmt.Fprintln(a.err, "warning: "+terminal.Escape(fmt.Sprintf(text, args...)))
}

// connect reaches the broker and returns the transport to it.
func (a *app) connect(cmd *cobra.Command) (driver.Transport, error) {
	a.warnVisible(cmd)
	e, err := a.endpoint(cmd)
	if err != nil {
		return nil, err
	}
	a.reached = e
	dial := a.prog.Dial
	if dial == nil {
		dial = Dial
	}
	return dial(cmd.Context(), e)
}

// open reaches the broker and returns a bus on it.
func (a *app) open(cmd *cobra.Command) (*ampybus.Bus, error) {
	t, err := a.connect(cmd)
	if err != nil {
		return nil, err
	}
	return a.bus(t), nil
}

func (a *app) bus(t driver.Transport) *ampybus.Bus { return a.observed(t, logObserver{a.logger}) }

func (a *app) observed(t driver.Transport, o ampybus.Observer) *ampybus.Bus {
	return ampybus.New(t, ampybus.Options{Observer: o, CloseTimeout: closeTimeout})
}

// closeTimeout keeps the end of a command short: it has waited for what it
// published already.
const closeTimeout = 2 * time.Second

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}
