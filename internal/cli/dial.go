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
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// Endpoint is a broker and the identity to reach it with. It prints without its
// secrets.
type Endpoint struct {
	// URL is empty for the default of the binding.
	URL  string
	NATS natsbinding.Config
}

// String names the broker, never a secret.
func (e Endpoint) String() string { return e.NATS.String() }

// connectBudget bounds the whole attempt to reach a broker, however many
// servers its URL lists.
const connectBudget = 1800 * time.Millisecond

// minConnectTimeout is what a TLS handshake over a continent needs.
const minConnectTimeout = 300 * time.Millisecond

// endpoint is what the flags and, behind them, the environment say.
func (a *app) endpoint(cmd *cobra.Command) (Endpoint, error) {
	for _, flag := range []string{"bus", "nats"} {
		if f := cmd.Flags().Lookup(flag); f.Changed && strings.TrimSpace(f.Value.String()) == "" {
			return Endpoint{}, usagef("--%s: empty; write nats://host:port", flag)
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
	c := natsbinding.FromEnv()
	c.URL, c.Name, c.Logger = url, a.prog.Name, a.logger
	c.ConnectTimeout = max(connectBudget/time.Duration(1+strings.Count(url, ",")), minConnectTimeout)
	a.conn.identify(&c, pass)
	return Endpoint{URL: url, NATS: c}, nil
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
	scheme, _, ok := strings.Cut(e.URL, "://")
	if !ok {
		scheme = "nats"
	}
	switch scheme {
	case "nats", "tls", "ws", "wss":
		return dialNATS(ctx, e)
	}
	return nil, usagef("--bus or --nats: no broker is reached by %s://; write nats://host:port or tls://host:port", terminal.Escape(scheme))
}

func dialNATS(ctx context.Context, e Endpoint) (driver.Transport, error) {
	type answer struct {
		t   *natsbinding.Transport
		err error
	}
	ch := make(chan answer, 1)
	go func() {
		t, err := natsbinding.Dial(e.NATS)
		ch <- answer{t, err}
	}()
	select {
	case a := <-ch:
		if a.err != nil {
			return nil, &dialError{a.err}
		}
		return a.t, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("connect: %w", ctx.Err())
	}
}

// serverCommand is how to start a broker.
const serverCommand = "ampybusctl server"

// dialError says which flags the fields of a configuration are.
type dialError struct{ err error }

func (e *dialError) Unwrap() error { return e.err }

func (e *dialError) Error() string {
	text := strings.NewReplacer(
		"TLS.CAFile", "--tls-ca", "TLS.CertFile", "--tls-cert", "TLS.KeyFile", "--tls-key",
		"TLS.HandshakeFirst", "--tls-first", "CredsFile", "--creds",
		"NKeySeedFile", "--nkey", "NKeySeed", "--nkey", " URL:", " --nats:", " User:", " --user:",
	).Replace(e.err.Error())
	switch {
	case errors.Is(e.err, driver.ErrAuth):
		text += "; check --user and --pass-file, --creds, --nkey, or --token"
	case errors.Is(e.err, driver.ErrUnreachable) && !strings.Contains(text, serverCommand):
		text += "; or start a server here: " + serverCommand
	}
	return text
}
