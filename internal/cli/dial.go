package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// Endpoint is a broker and the identity to reach it with. It prints without its
// secrets.
type Endpoint struct {
	// URL is empty for the default of the binding.
	URL string
	// OnKafka tells which of the two counts.
	OnKafka bool
	NATS    natsbinding.Config
	Kafka   kafkabinding.Config
}

// String names the broker, never a secret.
func (e Endpoint) String() string {
	if e.OnKafka {
		return e.Kafka.String()
	}
	return e.NATS.String()
}

// connectBudget bounds the whole attempt to reach a broker, however many
// servers its URL lists.
const connectBudget = 1800 * time.Millisecond

// minConnectTimeout is what a TLS handshake over a continent needs.
const minConnectTimeout = 300 * time.Millisecond

// endpoint is what the flags and, behind them, the environment say.
func (a *app) endpoint(cmd *cobra.Command) (Endpoint, error) {
	for _, flag := range addressFlags() {
		if f := cmd.Flags().Lookup(flag); f != nil && f.Changed && strings.TrimSpace(f.Value.String()) == "" {
			return Endpoint{}, usagef("--%s: empty; %s", flag, a.addressShape())
		}
	}
	url, err := a.conn.url()
	if err != nil {
		return Endpoint{}, err
	}
	pass, err := a.password()
	if err != nil {
		return Endpoint{}, err
	}
	if a.prog.Kafka || isKafkaURL(url) {
		return a.kafkaEndpoint(cmd, url, pass)
	}
	if a.conn.sasl != "" {
		return Endpoint{}, usagef("--sasl: it is for Kafka, and %s is none", terminal.Field(or(url, "NATS")))
	}
	c := natsbinding.FromEnv()
	url = or(url, c.URL)
	c.URL, c.Name, c.Logger = url, a.prog.Name, a.logger
	c.ConnectTimeout = max(connectBudget/time.Duration(1+strings.Count(url, ",")), minConnectTimeout)
	a.conn.identify(&c, pass)
	return Endpoint{URL: url, NATS: c}, nil
}

// addressShape is how to write a broker's address.
func (a *app) addressShape() string {
	if a.prog.Kafka {
		return "write host:port or kafka://host:port,host:port"
	}
	return "write nats://host:port"
}

// identify applies the flags to what the environment says: a flag of one kind of
// credentials replaces those of the other kinds.
func (c *connection) identify(to *natsbinding.Config, pass string) {
	if c.user != "" || pass != "" || c.token != "" || c.creds != "" || c.nkey != "" {
		kept := *to
		to.User, to.Pass, to.Token, to.CredsFile, to.NKeySeedFile, to.NKeySeed = c.user, pass, c.token, c.creds, c.nkey, ""
		if c.user != "" || pass != "" {
			to.User, to.Pass = or(c.user, kept.User), or(pass, kept.Pass)
		}
	}
	to.TLS.CAFile = or(c.tlsCA, to.TLS.CAFile)
	to.TLS.CertFile = or(c.tlsCert, to.TLS.CertFile)
	to.TLS.KeyFile = or(c.tlsKey, to.TLS.KeyFile)
	to.TLS.HandshakeFirst = to.TLS.HandshakeFirst || c.tlsFirst
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Dial connects to the broker that the URL's scheme names.
func Dial(ctx context.Context, e Endpoint) (driver.Transport, error) {
	if e.OnKafka {
		return dialing(ctx, "kafka", func() (driver.Transport, error) { return kafkabinding.Dial(e.Kafka) })
	}
	scheme, _, ok := strings.Cut(e.URL, "://")
	if !ok {
		scheme = "nats"
	}
	switch scheme {
	case "nats", "tls", "ws", "wss":
		return dialing(ctx, "nats", func() (driver.Transport, error) { return natsbinding.Dial(e.NATS) })
	}
	return nil, usagef("--bus or --nats: no broker is reached by %s://; write nats://host:port, tls://host:port or kafka://host:port", terminal.Escape(scheme))
}

// dialing connects, and does not wait longer than ctx.
func dialing(ctx context.Context, broker string, dial func() (driver.Transport, error)) (driver.Transport, error) {
	type answer struct {
		t   driver.Transport
		err error
	}
	ch := make(chan answer, 1)
	go func() {
		t, err := dial()
		ch <- answer{t, err}
	}()
	select {
	case a := <-ch:
		if a.err != nil {
			return nil, &dialError{broker, a.err}
		}
		return a.t, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("connect: %w", ctx.Err())
	}
}

// serverCommand is how to start a broker.
const serverCommand = "ampybusctl server"

// dialError says which flags the fields of a configuration are.
type dialError struct {
	broker string
	err    error
}

func (e *dialError) Unwrap() error { return e.err }

func (e *dialError) Error() string {
	text := strings.NewReplacer(
		"TLS.CAFile", "--tls-ca", "TLS.CertFile", "--tls-cert", "TLS.KeyFile", "--tls-key",
		"TLS.HandshakeFirst", "--tls-first", "CredsFile", "--creds",
		"NKeySeedFile", "--nkey", "NKeySeed", "--nkey", " URL:", " --nats:", " User:", " --user:",
		" Pass:", " --pass-file:", " Mechanism:", " --sasl:", "User and Pass out", "--user and --pass-file out", " Brokers:", " --brokers:", "correct Brokers", "correct --brokers",
	).Replace(e.err.Error())
	switch {
	case errors.Is(e.err, driver.ErrAuth) && e.broker == "kafka":
		text += "; check --user, --pass-file and --sasl"
	case errors.Is(e.err, driver.ErrAuth):
		text += "; check --user and --pass-file, --creds, --nkey, or --token"
	case errors.Is(e.err, driver.ErrUnreachable) && e.broker != "kafka" && !strings.Contains(text, serverCommand):
		text += "; or start a server here: " + serverCommand
	}
	return text
}
