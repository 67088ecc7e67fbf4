package kafkabinding

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// DefaultBroker is where a broker started without options listens.
const DefaultBroker = "127.0.0.1:9092"

const (
	// defaultConnectTimeout leaves a caller an answer within five seconds.
	defaultConnectTimeout = 3 * time.Second
	// defaultAckTimeout is above what a healthy cluster needs and about what the
	// election of a leader takes (measured: 6.6 s): a publish that waits longer
	// is uncertain, and its record stays on its way.
	defaultAckTimeout = 5 * time.Second
	// defaultPartitions of topics that the binding creates: enough members for
	// most groups, few enough for one broker with many topics.
	defaultPartitions = 6
	// maxBrokers bounds a list; a cluster is named by a few of its brokers.
	maxBrokers = 64
	// maxPartitions keeps a typing error from filling a cluster.
	maxPartitions = 1000
)

// Layout says which Kafka topic holds a bus topic. Readers read both.
type Layout int

const (
	// LayoutDomain writes ampy.prod.bars.v1.XNAS.AAPL to ampy.prod.bars.v1: one
	// Kafka topic for each environment, domain and version.
	LayoutDomain Layout = iota
	// LayoutFull writes each bus topic to a Kafka topic of the same name, as
	// ampy-bus 1.x does. Subtopics with characters that Kafka does not allow in
	// names ('@', '^', '=' ...) are refused.
	LayoutFull
)

// Partitioner is the hash that leads a key to its partition.
type Partitioner int

const (
	// Murmur2 is the hash of Kafka's own clients.
	Murmur2 Partitioner = iota
	// FNV1a is the hash of ampy-bus 1.x (kafka-go): a topic that such peers
	// write too must use it, or a key lies in two partitions.
	FNV1a
)

// Config says how to reach a cluster and as whom. Config{} reaches a local
// broker without credentials. It prints without its secrets.
type Config struct {
	// Brokers are some of the cluster's, as host:port, or URLs such as
	// kafka://host:port,host:port (kafka+tls:// asks for TLS). A URL may carry
	// user:password@ and ?layout=full&partitioner=fnv1a. Empty: DefaultBroker.
	Brokers []string
	// Name is the client id in the broker's logs and quotas. Empty: the
	// program's name.
	Name string

	// User and Pass are SASL credentials.
	User, Pass string
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Empty: SCRAM-SHA-512.
	// PLAIN sends the password itself and is refused without TLS.
	Mechanism string
	// PlainWithoutTLS allows PLAIN on an unencrypted connection, for tests.
	PlainWithoutTLS bool
	// TLS is used when any of its fields is set, or a URL says kafka+tls://.
	TLS TLS

	// Layout is where topics are written.
	Layout Layout
	// Partitioner must be the same for all producers of a topic.
	Partitioner Partitioner
	// NoCreate leaves missing Kafka topics to an operator; a publish to one
	// fails with driver.ErrNoLog.
	NoCreate bool
	// Partitions of topics that the binding creates. Zero: 6.
	Partitions int
	// Replicas of topics that the binding creates. Zero: the cluster's default.
	Replicas int

	// Linger is how long a batch waits for more records. Zero: it is sent at
	// once, and batches form while earlier ones are under way.
	Linger time.Duration
	// Compression is none, snappy, lz4, zstd or gzip. Empty: snappy.
	Compression string
	// AckTimeout bounds one publish attempt; after it the outcome is
	// uncertain. Zero: 5 s.
	AckTimeout time.Duration
	// ConnectTimeout bounds the connection to one broker. Zero: 3 s.
	ConnectTimeout time.Duration

	// ServerAssignor uses the group protocol of KIP-848 (Kafka 4.0), where the
	// coordinator assigns partitions. The lease is then the broker's
	// group.consumer.session.timeout.ms, whatever a consumer asks for.
	ServerAssignor bool

	// DialContext opens the connections to brokers, for those that are reached
	// through a proxy or a tunnel. Nil: a net.Dialer's. TLS comes on top.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger receives what an operator should know. Nil: slog.Default().
	Logger *slog.Logger
	// Bus configures the bus above the transport.
	Bus ampybus.Options

	discover time.Duration // how often new topics are looked for
	minAge   time.Duration // between two requests for metadata
	patient  bool          // no error in connecting is taken for lasting
	// handshake is the last one that failed: the client tries again until its
	// time is over, and then says no more than that.
	handshake *atomic.Pointer[handshakeError]
}

// FromEnv reads KAFKA_BROKERS, KAFKA_USER, KAFKA_PASS, KAFKA_SASL_MECHANISM,
// KAFKA_TLS_CA, KAFKA_TLS_CERT and KAFKA_TLS_KEY (files). What is not set stays
// zero.
func FromEnv() Config {
	c := Config{
		User: os.Getenv("KAFKA_USER"), Pass: os.Getenv("KAFKA_PASS"),
		Mechanism: os.Getenv("KAFKA_SASL_MECHANISM"),
		TLS: TLS{
			CAFile:   os.Getenv("KAFKA_TLS_CA"),
			CertFile: os.Getenv("KAFKA_TLS_CERT"),
			KeyFile:  os.Getenv("KAFKA_TLS_KEY"),
		},
	}
	if b := os.Getenv("KAFKA_BROKERS"); b != "" {
		c.Brokers = []string{b}
	}
	return c
}

// String names the brokers and the kind of credentials, never a secret.
func (c Config) String() string {
	return "kafka " + strings.Join(redact(c.Brokers), ",") + " as " + c.identity()
}

// GoString is String: %#v must not print a secret either.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

func (c Config) identity() string {
	switch {
	case c.User != "":
		return "user " + c.User
	case c.TLS.CertFile != "":
		return "certificate " + c.TLS.CertFile
	}
	return "nobody"
}

// resolved applies URLs and defaults, and checks what can be checked without a
// connection. Errors wrap driver.ErrConfig and name the field and the fix.
func (c Config) resolved() (Config, error) {
	c, err := c.withURLs()
	if err != nil {
		return c, err
	}
	if c.Name == "" {
		c.Name = filepath.Base(os.Args[0])
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.User != "" && c.Mechanism == "" {
		c.Mechanism = scram512
	}
	c.Mechanism = strings.ToUpper(c.Mechanism)
	c.ConnectTimeout = positive(c.ConnectTimeout, defaultConnectTimeout)
	c.AckTimeout = positive(c.AckTimeout, defaultAckTimeout)
	c.discover = positive(c.discover, defaultDiscover)
	c.minAge = positive(c.minAge, defaultMinAge)
	if c.Partitions == 0 {
		c.Partitions = defaultPartitions
	}
	return c, c.validate()
}

func positive(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

func (c Config) validate() error {
	switch {
	case c.Pass != "" && c.User == "":
		return badConfig("User", "a password needs a user")
	case c.User != "" && c.Pass == "":
		return badConfig("Pass", "user %s has no password", c.User)
	case c.User == "" && c.Mechanism != "":
		return badConfig("User", "mechanism %s needs a user and a password", c.Mechanism)
	case c.Layout != LayoutDomain && c.Layout != LayoutFull:
		return badConfig("Layout", "%d; use LayoutDomain or LayoutFull", c.Layout)
	case c.Partitioner != Murmur2 && c.Partitioner != FNV1a:
		return badConfig("Partitioner", "%d; use Murmur2 or FNV1a", c.Partitioner)
	case c.Partitions < 0 || c.Partitions > maxPartitions:
		return badConfig("Partitions", "%d; use 1 to %d", c.Partitions, maxPartitions)
	case c.Replicas < 0 || c.Replicas > maxBrokers:
		return badConfig("Replicas", "%d; use 1 to the number of brokers", c.Replicas)
	}
	if _, err := c.codec(); err != nil {
		return err
	}
	if _, err := c.sasl(); err != nil {
		return err
	}
	return c.TLS.validate()
}

func badConfig(field, format string, args ...any) error {
	return fmt.Errorf("connect to kafka: %w: %s: %s", driver.ErrConfig, field, fmt.Sprintf(format, args...))
}
