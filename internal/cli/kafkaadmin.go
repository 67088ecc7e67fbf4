package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
)

// kafkaAdmin connects for questions about a cluster that the bus does not ask.
// It connects through the binding first, so that a broker that cannot be reached
// ends every command in the same way.
func (a *app) kafkaAdmin(cmd *cobra.Command) (*kadm.Client, error) {
	t, err := a.connect(cmd)
	if err != nil {
		return nil, err
	}
	if err := t.Close(cmd.Context()); err != nil {
		return nil, err
	}
	if _, ok := t.(*kafkabinding.Transport); !ok {
		return nil, usagef("--bus: %s looks at Kafka, not at %s", cmd.Name(), t.Name())
	}
	opts, err := kafkaOptions(a.reached.Kafka)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to kafka: %w", err)
	}
	return kadm.NewClient(cl), nil
}

// kafkaOptions are c, which the binding has accepted, for the client library.
func kafkaOptions(c kafkabinding.Config) ([]kgo.Opt, error) {
	c, err := withoutURL(c)
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.ClientID(c.Name), kgo.DisableClientMetrics()}
	if c.TLS != (kafkabinding.TLS{}) {
		conf, err := clientTLS(c.TLS)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(conf))
	}
	switch strings.ToUpper(c.Mechanism) {
	case "SCRAM-SHA-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: c.User, Pass: c.Pass}.AsSha256Mechanism()))
	case "PLAIN":
		opts = append(opts, kgo.SASL(plain.Auth{User: c.User, Pass: c.Pass}.AsMechanism()))
	default:
		if c.User != "" {
			opts = append(opts, kgo.SASL(scram.Auth{User: c.User, Pass: c.Pass}.AsSha512Mechanism()))
		}
	}
	return opts, nil
}

// withoutURL moves what a URL says into the fields of its own.
func withoutURL(c kafkabinding.Config) (kafkabinding.Config, error) {
	list := strings.Join(c.Brokers, ",")
	if scheme, rest, ok := strings.Cut(list, "://"); ok {
		c.TLS.Enable = c.TLS.Enable || scheme == "kafka+tls"
		list, _, _ = strings.Cut(rest, "?")
		if at := strings.LastIndexByte(list, '@'); at >= 0 {
			u, err := url.Parse("kafka://" + list[:at] + "@host")
			if err != nil {
				return c, usagef("--bus: what stands before the @ is not user:password in URL encoding")
			}
			c.User = u.User.Username()
			c.Pass, _ = u.User.Password()
			list = list[at+1:]
		}
	}
	c.Brokers = strings.Split(or(strings.TrimSuffix(list, "/"), kafkabinding.DefaultBroker), ",")
	return c, nil
}

func clientTLS(t kafkabinding.TLS) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, usagef("--tls-ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		conf.RootCAs.AppendCertsFromPEM(pem)
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, usagef("--tls-cert: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// kafkaError gives an answer of the cluster the exit code that the bus gives it.
func kafkaError(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return exitf(ExitNothing, "%s: there is none (kafkainspect list-topics lists them, kafkabusctl ensure-topic makes one)", op)
	case errors.Is(err, kerr.GroupIDNotFound):
		return exitf(ExitNothing, "%s: %w", op, err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("%s: %w: %w", op, driver.ErrPermission, err)
	case errors.Is(err, kerr.InvalidReplicationFactor), errors.Is(err, kerr.InvalidPartitions), errors.Is(err, kerr.InvalidConfig), errors.Is(err, kerr.InvalidTopicException), errors.Is(err, kerr.PolicyViolation):
		return fmt.Errorf("%s: %w: %w", op, ampybus.ErrConfig, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}
