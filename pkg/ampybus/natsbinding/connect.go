package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// reconnectWait and its cap: a restarted server is found at once, and a
	// farm of clients does not overrun it.
	reconnectWait    = 50 * time.Millisecond
	maxReconnectWait = 2 * time.Second
	// A peer that answers no ping for about this long times two is gone.
	pingInterval = 5 * time.Second
	// apiTimeout bounds one request to the JetStream API.
	apiTimeout = 5 * time.Second
)

// Connect returns a bus over the NATS servers of c. Errors wrap
// driver.ErrConfig, driver.ErrUnreachable, driver.ErrAuth or
// driver.ErrPermission, and say what to do.
func Connect(c Config) (*ampybus.Bus, error) {
	t, err := Dial(c)
	if err != nil {
		return nil, err
	}
	return ampybus.New(t, c.Bus), nil
}

// Dial connects the transport alone, for tools. See Connect.
func Dial(c Config) (*Transport, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	t := newTransport(c)
	if err := t.connect(); err != nil {
		t.acks.close()
		return nil, err
	}
	return t, nil
}

func (t *Transport) connect() error {
	opts, err := t.cfg.natsOptions(t)
	if err != nil {
		return err
	}
	t.nc, err = nats.Connect(strings.Join(t.cfg.servers(), ","), opts...)
	if err != nil {
		return connectError(t.cfg, err)
	}
	if err := t.start(); err != nil {
		t.nc.Close()
		return err
	}
	return nil
}

func (c Config) natsOptions(t *Transport) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(c.Name),
		nats.Timeout(c.ConnectTimeout),
		nats.SetCustomDialer(&foldingDialer{net.Dialer{Timeout: c.ConnectTimeout}, &t.folds}),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		// What is published while there is no connection is refused, instead of
		// being sent later behind the back of whoever retries it.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		// A credential that a rotation broke for a moment must not end the bus.
		nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(t.onAsyncError),
		nats.DisconnectErrHandler(t.onDisconnect),
		nats.ReconnectHandler(t.onReconnect),
		nats.ClosedHandler(t.onClosed),
	}
	if c.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	if c.TLS.used(c.servers()) {
		opts = append(opts, c.TLS.options()...)
	}
	cred, err := c.credentials()
	if err != nil || cred == nil {
		return opts, err
	}
	return append(opts, cred), nil
}

func (c Config) credentials() (nats.Option, error) {
	switch {
	case c.User != "":
		return nats.UserInfo(c.User, c.Pass), nil
	case c.Token != "":
		return nats.Token(c.Token), nil
	case c.CredsFile != "":
		if _, err := os.Stat(c.CredsFile); err != nil {
			return nil, badConfig("CredsFile", "%v", err)
		}
		return nats.UserCredentials(c.CredsFile), nil
	case c.NKeySeedFile != "":
		opt, err := nats.NkeyOptionFromSeed(c.NKeySeedFile)
		if err != nil {
			return nil, badConfig("NKeySeedFile", "%s: %v", c.NKeySeedFile, err)
		}
		return opt, nil
	case c.NKeySeed != "":
		return seedOption(c.NKeySeed)
	}
	return nil, nil
}

func seedOption(seed string) (nats.Option, error) {
	kp, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return nil, badConfig("NKeySeed", "not an nkey seed")
	}
	pub, err := kp.PublicKey()
	if err != nil {
		return nil, badConfig("NKeySeed", "not an nkey seed")
	}
	return nats.Nkey(pub, kp.Sign), nil
}

func reconnectDelay(attempts int) time.Duration {
	d := reconnectWait << min(attempts, 10)
	return min(d, maxReconnectWait)
}

// start checks that the server has JetStream and that this identity can hear
// acknowledgements.
func (t *Transport) start() error {
	var err error
	if t.js, err = jetstream.New(t.nc, jetstream.WithDefaultTimeout(apiTimeout)); err != nil {
		return fmt.Errorf("connect to nats: %w", err)
	}
	if err := t.acks.subscribe(t.nc); err != nil {
		return fmt.Errorf("connect to nats: subscribe for acknowledgements: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), apiTimeout)
	defer cancel()
	err = t.guard(ctx, "$JS.API.INFO", func(ctx context.Context) error {
		_, err := t.js.AccountInfo(ctx)
		return err
	})
	if t.acks.denied() {
		return fmt.Errorf("connect to nats: %w: subscribe to %s: allow it, or set InboxPrefix to what is allowed", driver.ErrPermission, t.acks.subject())
	}
	switch {
	case err == nil, errors.Is(err, driver.ErrPermission):
		// A role that may only publish cannot ask, and need not.
		return nil
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return fmt.Errorf("connect to nats: %w: JetStream is off: start the server with -js", driver.ErrUnreachable)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("connect to nats: %w: JetStream is off for this account: enable it in the server's configuration", driver.ErrUnreachable)
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("connect to nats: %w: JetStream is off: start the server with -js", driver.ErrUnreachable)
	}
	return fmt.Errorf("connect to nats: JetStream does not answer: %w", err)
}
