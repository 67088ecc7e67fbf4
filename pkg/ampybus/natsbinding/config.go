package natsbinding

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// DefaultURL is where a server started without options listens.
const DefaultURL = nats.DefaultURL

const (
	// defaultConnectTimeout leaves a caller an answer within two seconds.
	defaultConnectTimeout = 1800 * time.Millisecond
	// defaultAckTimeout is above what a healthy server needs and below what a
	// leader election takes (4.3 to 7.4 s): a publish that waits longer is
	// uncertain and tried again under the same id.
	defaultAckTimeout = 5 * time.Second
	// maxServers bounds a URL list; a cluster is named by a few of its servers.
	maxServers = 64
)

// Config says how to reach a server and as whom. Config{} reaches a local
// server without credentials, Config{URL: ...} any other. It prints without
// its secrets.
type Config struct {
	// URL is nats://host:port or tls://host:port, or several separated by
	// commas. Empty: DefaultURL.
	URL string
	// Name is shown by the server's monitoring. Empty: the program's name.
	Name string

	// Credentials: set those of one kind.
	User, Pass string
	Token      string
	// CredsFile holds a JWT and its nkey seed.
	CredsFile string
	// NKeySeedFile holds an nkey seed; NKeySeed is one.
	NKeySeedFile, NKeySeed string

	// TLS is used when any of its fields is set, or a URL says tls://.
	TLS TLS

	// InboxPrefix replaces _INBOX in reply subjects, for roles that may
	// subscribe to a subject of their own only.
	InboxPrefix string
	// ConnectTimeout bounds the connection to one server. Zero: 1.8 s.
	ConnectTimeout time.Duration
	// AckTimeout bounds one publish attempt; after it the outcome is
	// uncertain. Zero: 5 s.
	AckTimeout time.Duration
	// Replicas of what this binding makes. Zero: in a cluster what the domain
	// wants, three for the leases; one on a single server. A cluster of two
	// needs it set.
	Replicas int
	// MonitorURL is the server's monitoring endpoint, http://host:8222. Only
	// Doctor uses it: durability settings are visible there and nowhere else.
	MonitorURL string
	// Layout says which stream holds a topic. Nil: DefaultLayout.
	Layout *Layout
	// Logger receives what an operator should know: an adopted stream, a lost
	// connection. Nil: slog.Default().
	Logger *slog.Logger
	// Bus configures the bus above the transport.
	Bus ampybus.Options

	noReset bool // treat the server as one without consumer resets
	batch   batching
}

// batching says how records of one key go out together.
type batching int

const (
	batchByStream batching = iota // in the way that is quick on the stream
	batchAtomic
	batchNever
)

// FromEnv reads NATS_URL, NATS_USER, NATS_PASS, NATS_TOKEN, NATS_CREDS (a
// file), NATS_NKEY_SEED (a file or the seed itself), NATS_TLS_CA, NATS_TLS_CERT
// and NATS_TLS_KEY (files). What is not set stays zero.
func FromEnv() Config {
	c := Config{
		URL:  os.Getenv("NATS_URL"),
		User: os.Getenv("NATS_USER"), Pass: os.Getenv("NATS_PASS"),
		Token:     os.Getenv("NATS_TOKEN"),
		CredsFile: os.Getenv("NATS_CREDS"),
		TLS: TLS{
			CAFile:   os.Getenv("NATS_TLS_CA"),
			CertFile: os.Getenv("NATS_TLS_CERT"),
			KeyFile:  os.Getenv("NATS_TLS_KEY"),
		},
	}
	if seed := os.Getenv("NATS_NKEY_SEED"); strings.HasPrefix(seed, "SU") && !strings.ContainsAny(seed, "/\\.") {
		c.NKeySeed = seed
	} else {
		c.NKeySeedFile = seed
	}
	return c
}

// String names the servers and the kind of credentials, never a secret.
func (c Config) String() string {
	return "nats " + strings.Join(redact(c.servers()), ",") + " as " + c.identity()
}

// GoString is String: %#v must not print a secret either.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

func (c Config) identity() string {
	switch {
	case c.CredsFile != "":
		return "creds " + c.CredsFile
	case c.NKeySeedFile != "" || c.NKeySeed != "":
		return "nkey"
	case c.Token != "":
		return "token"
	case c.User != "":
		return "user " + c.User
	case c.TLS.CertFile != "":
		return "certificate " + c.TLS.CertFile
	}
	return "nobody"
}

func (c Config) withDefaults() Config {
	if c.URL == "" {
		c.URL = DefaultURL
	}
	if c.Name == "" {
		c.Name = filepath.Base(os.Args[0])
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.AckTimeout <= 0 {
		c.AckTimeout = defaultAckTimeout
	}
	if c.Layout == nil {
		c.Layout = DefaultLayout()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) servers() []string {
	if c.URL == "" {
		return []string{DefaultURL}
	}
	return strings.Split(c.URL, ",")
}

// validate checks what can be checked without a connection. Errors wrap
// driver.ErrConfig and name the field and the fix.
func (c Config) validate() error {
	if n := len(c.servers()); n > maxServers {
		return badConfig("URL", "%d servers, the limit is %d; name a few of the cluster, the client learns the others", n, maxServers)
	}
	for _, s := range c.servers() {
		if err := checkURL(s); err != nil {
			return err
		}
	}
	if c.Pass != "" && c.User == "" {
		return badConfig("User", "a password needs a user")
	}
	kinds := 0
	for _, set := range []bool{c.User != "", c.Token != "", c.CredsFile != "", c.NKeySeedFile != "", c.NKeySeed != ""} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return badConfig("User, Token, CredsFile, NKeySeed", "%d kinds of credentials; set one", kinds)
	}
	return c.TLS.validate()
}

func checkURL(s string) error {
	const shape = "write nats://host:port or tls://host:port"
	if strings.TrimSpace(s) == "" {
		return badConfig("URL", "an empty server name; %s", shape)
	}
	raw := strings.TrimSpace(s)
	if !strings.Contains(raw, "://") {
		raw = "nats://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return badConfig("URL", "%q is not a URL; %s", redact([]string{s})[0], shape)
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
	default:
		return badConfig("URL", "scheme %q; %s", u.Scheme, shape)
	}
	if u.Hostname() == "" {
		return badConfig("URL", "%q names no host; %s", u.Redacted(), shape)
	}
	if p := u.Port(); p != "" {
		var n int
		if _, err := fmt.Sscanf(p, "%d", &n); err != nil || n < 1 || n > 65535 {
			return badConfig("URL", "port %s; ports are 1 to 65535", p)
		}
	}
	return nil
}

// redact hides what stands before the @ of each URL.
func redact(urls []string) []string {
	out := make([]string, len(urls))
	for i, s := range urls {
		s = strings.TrimSpace(s)
		if at := strings.LastIndexByte(s, '@'); at >= 0 {
			scheme, _, ok := strings.Cut(s[:at], "://")
			if ok {
				s = scheme + "://***" + s[at:]
			} else {
				s = "***" + s[at:]
			}
		}
		out[i] = s
	}
	return out
}

func badConfig(field, format string, args ...any) error {
	return fmt.Errorf("connect to nats: %w: %s: %s", driver.ErrConfig, field, fmt.Sprintf(format, args...))
}
