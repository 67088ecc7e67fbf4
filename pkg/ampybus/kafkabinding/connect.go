package kafkabinding

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	plainSASL = "PLAIN"
	scram256  = "SCRAM-SHA-256"
	scram512  = "SCRAM-SHA-512"

	// dialTimeout bounds Dial as a whole: bad lists must fail within 5 s.
	dialTimeout = 4 * time.Second
	// apiTimeout bounds one question to the cluster.
	apiTimeout = 5 * time.Second
	// defaultDiscover finds Kafka topics that are created while a group or a
	// reader is open.
	defaultDiscover = 2 * time.Second
	// defaultMinAge bounds how often metadata is asked for: a partition without
	// a leader is looked at four times a second.
	defaultMinAge = 250 * time.Millisecond
)

// Connect returns a bus over the brokers of c. Errors wrap driver.ErrConfig,
// driver.ErrUnreachable, driver.ErrAuth or driver.ErrPermission, and say what
// to do.
func Connect(c Config) (*ampybus.Bus, error) {
	t, err := Dial(c)
	if err != nil {
		return nil, err
	}
	return ampybus.New(t, t.cfg.Bus), nil
}

// Dial connects the transport alone, for tools. See Connect.
func Dial(c Config) (*Transport, error) {
	c, err := c.resolved()
	if err != nil {
		return nil, err
	}
	c.handshake = new(atomic.Pointer[handshakeError])
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if err := c.greet(ctx); err != nil {
		return nil, c.connectError(err)
	}
	c.patient = true
	t, err := newTransport(c)
	if err != nil {
		return nil, fmt.Errorf("connect to kafka: %w", err)
	}
	t.askBroker(ctx)
	return t, nil
}

// common are the options of every client that serves a transport.
func (c Config) common() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(c.Name),
		kgo.Dialer(c.connect),
		kgo.MetadataMinAge(c.minAge),
		kgo.MetadataMaxAge(max(c.discover, c.minAge)),
		kgo.RequestTimeoutOverhead(requestOverhead),
		kgo.RetryBackoffFn(backoff),
		kgo.DisableClientMetrics(),
	}
	if c.patient && !mutant.On("give-up-at-eof") {
		// The client fails all that it holds for a partition when it cannot ask
		// for metadata, if the error is one that it takes for lasting.
		opts = append(opts, kgo.AlwaysRetryEOF())
	}
	if m, _ := c.sasl(); m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts
}

const (
	// requestOverhead is how long an answer may be late before its connection
	// is given up: a broker that went silent holds nobody for longer.
	requestOverhead = 5 * time.Second
	maxBackoff      = time.Second
)

// backoff finds a restarted broker at once, and does not overrun it.
func backoff(fails int) time.Duration {
	return min(20*time.Millisecond<<min(fails, 10), maxBackoff)
}

// connect dials one broker. Certificates are read here, so a rotated one is
// used from the next connection on.
func (c Config) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	dial := c.DialContext
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, network, addr)
	if err != nil || !c.TLS.used() {
		return conn, err
	}
	conf, err := c.TLS.config(addr)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		failed := &handshakeError{err: err, passing: c.patient}
		if c.handshake != nil {
			c.handshake.Store(failed)
		}
		return nil, failed
	}
	return secure, nil
}

// handshakeError marks what went wrong between the connection and the first
// request.
type handshakeError struct {
	err     error
	passing bool
}

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// Temporary is asked by the client: where a connection was possible before, one
// may be possible again, when a certificate has been corrected.
func (e *handshakeError) Temporary() bool { return e.passing }

func (c Config) sasl() (sasl.Mechanism, error) {
	if c.User == "" {
		return nil, nil
	}
	switch c.Mechanism {
	case plainSASL:
		if !c.TLS.used() && !c.PlainWithoutTLS {
			return nil, badConfig("Mechanism", "PLAIN would send the password in clear text: use TLS or %s", scram512)
		}
		return plain.Auth{User: c.User, Pass: c.Pass}.AsMechanism(), nil
	case scram256:
		return scram.Auth{User: c.User, Pass: c.Pass}.AsSha256Mechanism(), nil
	case scram512:
		return scram.Auth{User: c.User, Pass: c.Pass}.AsSha512Mechanism(), nil
	}
	return nil, badConfig("Mechanism", "%q; use %s, %s or %s", c.Mechanism, scram512, scram256, plainSASL)
}

func (c Config) codec() (kgo.CompressionCodec, error) {
	switch strings.ToLower(c.Compression) {
	case "", "snappy":
		return kgo.SnappyCompression(), nil
	case "none":
		return kgo.NoCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	}
	return kgo.NoCompression(), badConfig("Compression", "%q; use none, snappy, lz4, zstd or gzip", c.Compression)
}

func (c Config) partitioner() kgo.Partitioner {
	if c.Partitioner == FNV1a {
		return kgo.StickyKeyPartitioner(kgo.SaramaCompatHasher(fnv1a))
	}
	return kgo.StickyKeyPartitioner(nil)
}

func fnv1a(b []byte) uint32 {
	h := fnv.New32a()
	_, _ = h.Write(b)
	return h.Sum32()
}

// greet finds one broker that answers. Several are asked at once, so that dead
// ones in the list cost no time. It has a client of its own, which gives up
// where one that holds records must not.
func (c Config) greet(ctx context.Context) error {
	cl, err := kgo.NewClient(c.common()...)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrConfig, err)
	}
	defer cl.Close()
	seeds := cl.SeedBrokers()
	errs := make(chan error, len(seeds))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, b := range seeds {
		go func() {
			_, err := b.Request(ctx, metadataOf())
			errs <- err
		}()
	}
	var all error
	for range seeds {
		err := <-errs
		if err == nil {
			return nil
		}
		all = errors.Join(all, err)
	}
	return all
}
