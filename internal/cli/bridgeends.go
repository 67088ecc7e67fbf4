package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// bridgeEnds are the two brokers of a bridge, and what goes from one to the
// other.
type bridgeEnds struct {
	from, to     bridgeEnd
	env, pattern string
	exclude      []string
}

// bridgeEnd is one broker and the identity to reach it with.
type bridgeEnd struct {
	flag string // from, to
	conn connection
	name string
}

func (e *bridgeEnds) add(a *app, cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&e.from.conn.bus, "from", "", "`URL` of the source: nats://host:port, tls://host:port, kafka://host:port,host:port, kafka+tls://host:port")
	fs.StringVar(&e.to.conn.bus, "to", "", "`URL` of the target")
	fs.StringVar(&e.env, "env", "", "`ENV` to carry, all of its topics: "+strings.Join(ampybus.Envs(), ", "))
	fs.StringVar(&e.pattern, "pattern", "", "`PATTERN` of topics to carry, instead of --env")
	fs.StringArrayVar(&e.exclude, "exclude", nil, "`PATTERN` of topics that stay; may be given several times; none: nothing stays (else requests for replay)")
	complete(cmd, "env", ampybus.Envs()...)

	ends := pflag.NewFlagSet("connection", pflag.ContinueOnError)
	ends.SortFlags = false
	e.from.add(ends, "from", "source")
	e.to.add(ends, "to", "target")
	a.addConnection(cmd, ends)
}

// add makes the flags of one broker. Its environment variables are those of its
// kind, for both brokers where both are of one kind.
func (e *bridgeEnd) add(fs *pflag.FlagSet, flag, side string) {
	e.flag = flag
	c := &e.conn
	name := func(s string) string { return flag + "-" + s }
	fs.StringVar(&c.user, name("user"), "", "`NAME` to log in as at the "+side+" (env NATS_USER or KAFKA_USER)")
	fs.StringVar(&c.passFile, name("pass-file"), "", "`FILE` that holds the password there (else env NATS_PASS or KAFKA_PASS)")
	fs.StringVar(&c.creds, name("creds"), "", "`FILE` of a JWT and its seed, for NATS")
	fs.StringVar(&c.nkey, name("nkey"), "", "`FILE` of an nkey seed, for NATS")
	fs.StringVar(&c.sasl, name("sasl"), "", "`MECHANISM` of login, for Kafka")
	fs.StringVar(&c.tlsCA, name("tls-ca"), "", "`FILE` of the authorities that sign the "+side)
	fs.StringVar(&c.tlsCert, name("tls-cert"), "", "`FILE` of this client's certificate there")
	fs.StringVar(&c.tlsKey, name("tls-key"), "", "`FILE` of its key")
	fs.StringVar(&e.name, name("name"), "", "identity of the "+side+", in place of the one that it tells; the same in every bridge (`NAME`)")
}

// selection is what is carried, as the flags say.
func (e *bridgeEnds) selection() (pattern string, exclude []string, err error) {
	switch {
	case (e.env == "") == (e.pattern == ""):
		return "", nil, usagef("--env, --pattern: say what to carry with one of them")
	case e.env != "":
		pattern = "ampy." + e.env + ".>"
	default:
		pattern = e.pattern
	}
	exclude = e.exclude
	if len(exclude) == 1 && exclude[0] == "none" {
		exclude = []string{}
	}
	for _, x := range exclude {
		if _, err := ampybus.ParsePattern(x); err != nil {
			return "", nil, usagef("--exclude: %w", err)
		}
	}
	_, err = ampybus.ParsePattern(pattern)
	if err != nil && e.env != "" {
		err = usagef("--env: %w", err)
	}
	return pattern, exclude, err
}

// connect reaches both brokers.
func (e *bridgeEnds) connect(a *app, cmd *cobra.Command) (from, to driver.Transport, err error) {
	if from, err = e.from.connect(a, cmd); err != nil {
		return nil, nil, err
	}
	if to, err = e.to.connect(a, cmd); err != nil {
		return nil, nil, errors.Join(err, from.Close(cmd.Context()))
	}
	return from, to, nil
}

func (e *bridgeEnd) connect(a *app, cmd *cobra.Command) (driver.Transport, error) {
	if strings.Contains(e.conn.bus, "@") {
		a.warn("the password in --%s is visible to everybody on this machine (ps): prefer --%[1]s-user and --%[1]s-pass-file", e.flag)
	}
	if !strings.Contains(e.conn.bus, "://") {
		return nil, usagef("--%s: it needs a scheme; write nats://host:port or kafka://host:port", e.flag)
	}
	if isKafkaURL(e.conn.bus) && (e.conn.creds != "" || e.conn.nkey != "") {
		return nil, usagef("--%s-creds, --%[1]s-nkey: Kafka has no such login; use --%[1]s-user and --%[1]s-pass-file", e.flag)
	}
	side := *a
	side.conn, side.prog.Kafka = e.conn, false
	t, err := side.connect(cmd)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", e.flag, err)
	}
	return t, nil
}
