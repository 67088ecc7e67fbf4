package kafkabinding

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"
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
		if c.RootCAs, err = t.roots(); err != nil {
			return nil, err
		}
	}
	if t.CertFile != "" {
		pair, err := t.pair()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
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
