package kafkabinding

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// connectError turns the client's error into a sentinel and advice.
func (c Config) connectError(err error) error {
	say := func(kind error, advice string) error {
		return fmt.Errorf("connect to kafka %s: %w: %s", strings.Join(c.Brokers, ","), kind, advice)
	}
	var (
		unknownCA x509.UnknownAuthorityError
		badHost   x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		shake     *handshakeError
		dns       *net.DNSError
	)
	if failed := c.handshake.Load(); failed != nil && errors.Is(err, context.DeadlineExceeded) {
		err = failed
	}
	text := lastLine(err)
	switch {
	case errors.Is(err, driver.ErrConfig):
		return err
	case errors.As(err, &unknownCA):
		return say(driver.ErrConfig, "the broker's certificate is not signed by "+c.TLS.authority()+": set TLS.CAFile to its authority")
	case errors.As(err, &badHost):
		return say(driver.ErrConfig, "the broker's certificate is for another host: "+badHost.Error())
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say(driver.ErrConfig, "the broker's certificate has expired")
	case errors.As(err, &record):
		return say(driver.ErrConfig, "TLS was spoken to a plaintext port: use kafka:// without TLS files, or the broker's TLS port")
	case strings.Contains(err.Error(), "remote error: tls"):
		return say(driver.ErrAuth, "the broker refused this client's certificate ("+text+"): set TLS.CertFile and TLS.KeyFile to a pair that it trusts")
	case errors.As(err, &shake) && isRefusedTalk(err):
		return say(driver.ErrConfig, "the broker ends the TLS handshake: if it is a plaintext port, use kafka:// without TLS files, or the broker's TLS port")
	case errors.As(err, &shake):
		return say(driver.ErrConfig, "no TLS handshake ("+text+"): is it the broker's TLS port?")
	case errors.Is(err, kerr.IllegalSaslState):
		return say(driver.ErrConfig, "the broker takes no login on this port: leave User and Pass out, or use its SASL port")
	case isAuth(err):
		return say(driver.ErrAuth, text+" ("+c.identity()+")")
	case c.User != "" && isRefusedTalk(err):
		return say(driver.ErrAuth, "the broker ended the connection at the "+c.Mechanism+" handshake ("+c.identity()+"): correct the password or the mechanism")
	case isOtherTalk(err) && strings.Contains(text, "tls alert"):
		return say(driver.ErrConfig, "plaintext was spoken to a TLS port: use kafka+tls:// (with TLS.CAFile, unless this system trusts its authority), or the broker's plaintext port")
	case isOtherTalk(err):
		return say(driver.ErrUnreachable, "what answers there speaks no Kafka ("+text+"): correct Brokers")
	case errors.As(err, &dns):
		return say(driver.ErrUnreachable, "the name "+dns.Name+" does not resolve: correct Brokers")
	case isRefusedTalk(err):
		return say(driver.ErrUnreachable, "a broker accepts the connection and ends it ("+text+"): does it ask for TLS or SASL, or is it no Kafka port?")
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return say(driver.ErrUnreachable, "nobody answers in time: is it a Kafka port? one that asks for TLS stays silent to plaintext")
	}
	return say(driver.ErrUnreachable, text+": start a broker with `kafkabusctl server`, or correct Brokers")
}

// lastLine is the last of several joined errors: one for each broker tried.
func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return lines[len(lines)-1]
}

func isAuth(err error) bool {
	for _, k := range []error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState} {
		if errors.Is(err, k) {
			return true
		}
	}
	return strings.Contains(err.Error(), "SASL") || strings.Contains(err.Error(), "SCRAM")
}

// isRefusedTalk: the broker ended a connection that it had accepted.
func isRefusedTalk(err error) bool {
	var first *kgo.ErrFirstReadEOF
	return errors.As(err, &first) || errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset by peer")
}

// isOtherTalk: the first bytes of another protocol were read as a length.
func isOtherTalk(err error) bool {
	return strings.Contains(err.Error(), "invalid large response size")
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func (t TLS) authority() string {
	if t.CAFile != "" {
		return t.CAFile
	}
	return "an authority this system trusts"
}

// requestError names an operation and turns the client's errors into the
// driver's: for questions, where nothing is half done.
func requestError(op string, err error) error {
	kind := error(nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), isDriverError(err):
		return fmt.Errorf("%s: %w", op, err)
	case errors.Is(err, kgo.ErrClientClosed):
		kind = driver.ErrClosed
	case isDenied(err):
		kind = driver.ErrPermission
	case isAuth(err):
		kind = driver.ErrAuth
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w: %w", op, driver.ErrUnavailable, err)
	case isOutage(err):
		kind = driver.ErrUnavailable
	}
	if kind == nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %w: %w", op, kind, err)
}

func isDriverError(err error) bool {
	for _, kind := range []error{
		driver.ErrPermission, driver.ErrUnavailable, driver.ErrClosed, driver.ErrConfig,
		driver.ErrNoLog, driver.ErrFenced, driver.ErrUncertain, driver.ErrTooLarge, driver.ErrAuth,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func isDenied(err error) bool {
	for _, k := range []error{
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed,
		kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
	} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// isOutage: the cluster cannot answer now, and may later.
func isOutage(err error) bool {
	var netErr net.Error
	var op *net.OpError
	return kerr.IsRetriable(err) || errors.As(err, &netErr) || errors.As(err, &op) ||
		errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || isRefusedTalk(err) ||
		strings.Contains(err.Error(), "unable to dial")
}

// produceError says what became of a record that the client gave up. The client
// retries without limit what can be retried, so the rest is definite but for
// what is named here.
func produceError(topic string, err error) error {
	kind := driver.ErrUncertain
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		kind = driver.ErrTooLarge
	case isDenied(err):
		kind = driver.ErrPermission
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kgo.ErrMaxBuffered):
		kind = driver.ErrUnavailable
	case errors.Is(err, kerr.InvalidTopicException), errors.Is(err, kerr.InvalidRecord),
		errors.Is(err, kerr.PolicyViolation), errors.Is(err, kerr.InvalidTimestamp),
		errors.Is(err, kerr.CorruptMessage), errors.Is(err, kerr.UnsupportedCompressionType):
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return fmt.Errorf("publish to %s: %w: %w", topic, kind, err)
}
