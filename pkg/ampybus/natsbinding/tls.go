package natsbinding

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
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

// validate reads the files once, so that a mistake is reported by name before
// a handshake turns it into a riddle.
func (t TLS) validate() error {
	if t.CertFile != "" && t.KeyFile == "" {
		return badConfig("TLS.KeyFile", "certificate %s comes without its key", t.CertFile)
	}
	if t.KeyFile != "" && t.CertFile == "" {
		return badConfig("TLS.CertFile", "key %s comes without its certificate", t.KeyFile)
	}
	if t.CAFile != "" {
		if _, err := t.roots(); err != nil {
			return err
		}
	}
	if t.CertFile != "" {
		if _, err := t.pair(); err != nil {
			return err
		}
	}
	return nil
}

func (t TLS) options() []nats.Option {
	base := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	opts := []nats.Option{nats.Secure(base)}
	var cert nats.TLSCertHandler
	var roots nats.RootCAsHandler
	if t.CertFile != "" {
		cert = t.pair
	}
	if t.CAFile != "" {
		roots = t.roots
	}
	if cert != nil || roots != nil {
		opts = append(opts, nats.ClientTLSConfig(cert, roots))
	}
	if t.HandshakeFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts
}

func (t TLS) roots() (*x509.CertPool, error) {
	data, err := readPEM("TLS.CAFile", t.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, badConfig("TLS.CAFile", "%s holds no certificate", t.CAFile)
	}
	return pool, nil
}

func (t TLS) pair() (tls.Certificate, error) {
	cert, err := readPEM("TLS.CertFile", t.CertFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := checkSecretMode("TLS.KeyFile", t.KeyFile); err != nil {
		return tls.Certificate{}, err
	}
	key, err := readPEM("TLS.KeyFile", t.KeyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, badConfig("TLS.CertFile", "%s and %s: %s", t.CertFile, t.KeyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return pair, checkDates(t.CertFile, pair.Leaf)
}

func checkDates(file string, leaf *x509.Certificate) error {
	now := time.Now()
	switch {
	case leaf == nil:
		return nil
	case now.After(leaf.NotAfter):
		return badConfig("TLS.CertFile", "%s expired on %s", file, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return badConfig("TLS.CertFile", "%s is valid from %s on", file, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

func readPEM(field, file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, badConfig(field, "%v", err)
	}
	if block, _ := pem.Decode(data); block == nil {
		return nil, badConfig(field, "%s is not PEM; a PKCS#12 file is converted by: openssl pkcs12 -in FILE -nodes", file)
	}
	return data, nil
}

// checkSecretMode refuses a private key that other users of the machine can read.
func checkSecretMode(field, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return badConfig(field, "%v", err)
	}
	if mode := info.Mode().Perm(); mode&fs.FileMode(0o077) != 0 {
		return badConfig(field, "%s has mode %04o: others can read it; chmod 600 it", file, mode)
	}
	return nil
}
