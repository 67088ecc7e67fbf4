package kafkabinding

import (
	"crypto/tls"
	"fmt"
	"net"

	"github.com/AmpyFin/ampy-bus/internal/tlsfiles"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// TLS names certificate files. They are read again for every connection, so a
// rotated certificate is used from the next connection on.
type TLS struct {
	// Enable asks for TLS with the system's authorities and no files.
	Enable bool
	// CAFile holds the authorities that may have signed the brokers'
	// certificates. Empty: those of the system.
	CAFile string
	// CertFile and KeyFile are this client's own pair (mutual TLS).
	CertFile, KeyFile string
	// ServerName replaces a broker's host when its certificate is checked.
	ServerName string
}

func (t TLS) used() bool { return t != (TLS{}) }

// files are read again for every connection.
func (t TLS) files() tlsfiles.Files {
	return tlsfiles.Files{CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile}
}

// validate reads the files once.
func (t TLS) validate() error { return tlsFault(t.files().Validate()) }

// config is the handshake's side for one connection to addr.
func (t TLS) config(addr string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if c.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		c.ServerName = host
	}
	var err error
	if t.CAFile != "" {
		if c.RootCAs, err = t.files().Roots(); err != nil {
			return nil, tlsFault(err)
		}
	}
	if t.CertFile != "" {
		pair, err := t.files().Pair()
		if err != nil {
			return nil, tlsFault(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func tlsFault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("connect to kafka: %w: %w", driver.ErrConfig, err)
}
