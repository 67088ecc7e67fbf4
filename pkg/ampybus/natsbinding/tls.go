package natsbinding

import (
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/tlsfiles"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// TLS names certificate files. They are read again for every connection, so a
// rotated certificate is used from the next reconnect on.
type TLS struct {
	// CAFile holds the authorities that may have signed the server's
	// certificate. Empty: those of the system.
	CAFile string
	// CertFile and KeyFile are this client's own pair (mutual TLS).
	CertFile, KeyFile string
	// HandshakeFirst is for servers that greet nobody in plaintext.
	HandshakeFirst bool
	// ServerName replaces the host of the URL when the certificate is checked.
	ServerName string
}

func (t TLS) used(servers []string) bool {
	if t != (TLS{}) {
		return true
	}
	for _, s := range servers {
		if strings.HasPrefix(strings.TrimSpace(s), "tls://") {
			return true
		}
	}
	return false
}

// files are read again for every connection.
func (t TLS) files() tlsfiles.Files {
	return tlsfiles.Files{CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile}
}

// validate reads the files once.
func (t TLS) validate() error { return tlsFault(t.files().Validate()) }

func (t TLS) options() []nats.Option {
	base := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	opts := []nats.Option{nats.Secure(base)}
	var cert nats.TLSCertHandler
	var roots nats.RootCAsHandler
	if t.CertFile != "" {
		cert = t.files().Pair
	}
	if t.CAFile != "" {
		roots = t.files().Roots
	}
	if cert != nil || roots != nil {
		opts = append(opts, nats.ClientTLSConfig(cert, roots))
	}
	if t.HandshakeFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts
}

func tlsFault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("connect to nats: %w: %w", driver.ErrConfig, err)
}
