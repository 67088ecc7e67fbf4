package natsbinding

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// connectError turns the client's error into a sentinel and advice.
func connectError(c Config, err error) error {
	servers := strings.Join(redact(c.servers()), ",")
	say := func(kind error, advice string) error {
		return fmt.Errorf("connect to %s: %w: %s", servers, kind, advice)
	}
	var (
		unknownCA x509.UnknownAuthorityError
		badHost   x509.HostnameError
		invalid   x509.CertificateInvalidError
		alert     tls.AlertError
		record    tls.RecordHeaderError
		netErr    net.Error
	)
	text := err.Error()
	switch {
	case errors.Is(err, driver.ErrConfig):
		return err
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return say(driver.ErrAuth, strings.TrimPrefix(text, "nats: ")+" ("+c.identity()+")")
	case errors.Is(err, nats.ErrSecureConnWanted):
		return say(driver.ErrConfig, "the URL or TLS settings ask for TLS, and the server speaks plaintext: use nats:// without TLS files, or enable TLS on the server")
	case errors.As(err, &unknownCA):
		return say(driver.ErrConfig, "the server's certificate is not signed by "+caName(c)+": set TLS.CAFile to its authority")
	case errors.As(err, &badHost):
		return say(driver.ErrConfig, "the server's certificate is for another host: "+badHost.Error())
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say(driver.ErrConfig, "the server's certificate has expired")
	case errors.As(err, &alert):
		return say(driver.ErrAuth, "the server refused this client's certificate ("+text+"): set TLS.CertFile and TLS.KeyFile to a pair that it trusts")
	case strings.Contains(text, "after TLS handshake"):
		// In TLS 1.3 the server looks at the client's certificate last.
		return say(driver.ErrAuth, "the server hung up after the TLS handshake: it wants a client certificate that it trusts: set TLS.CertFile and TLS.KeyFile")
	case strings.Contains(text, "remote error: tls"):
		return say(driver.ErrAuth, "the server refused the TLS handshake ("+text+"): set TLS.CertFile and TLS.KeyFile to a pair that it trusts")
	case errors.As(err, &record):
		return say(driver.ErrConfig, "TLS was spoken to a plaintext port: use nats:// without TLS files, or the server's TLS port")
	case errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, nats.ErrTimeout):
		return say(driver.ErrUnreachable, "the port is open or filtered and nobody greets within "+c.ConnectTimeout.String()+": is it a NATS port? a server that speaks TLS first needs TLS.HandshakeFirst")
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, os.ErrDeadlineExceeded):
		return say(driver.ErrUnreachable, "no server answers: start one with `ampybusctl server` or `nats-server -js`, or correct the URL")
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return say(driver.ErrUnreachable, "the name "+dns.Name+" does not resolve: correct the URL")
	}
	return say(driver.ErrUnreachable, strings.TrimPrefix(text, "nats: "))
}

func caName(c Config) string {
	if c.TLS.CAFile != "" {
		return c.TLS.CAFile
	}
	return "an authority this system trusts"
}
