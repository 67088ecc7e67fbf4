// Package tlsfiles reads the certificate files of a connection, each time that
// it is asked, and names the file and the fault where a handshake would only be
// refused.
package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"time"
)

// Files names the files of a connection; empty names are left out.
type Files struct {
	CAFile            string // authorities that sign the other side
	CertFile, KeyFile string // the own pair
}

func bad(field, format string, args ...any) error {
	return fmt.Errorf("TLS.%s: %s", field, fmt.Sprintf(format, args...))
}

// Validate reads the files once, so that a mistake is reported by name before
// a handshake turns it into a riddle.
func (f Files) Validate() error {
	if f.CertFile != "" && f.KeyFile == "" {
		return bad("KeyFile", "certificate %s comes without its key", f.CertFile)
	}
	if f.KeyFile != "" && f.CertFile == "" {
		return bad("CertFile", "key %s comes without its certificate", f.KeyFile)
	}
	if f.CAFile != "" {
		if _, err := f.Roots(); err != nil {
			return err
		}
	}
	if f.CertFile != "" {
		if _, err := f.Pair(); err != nil {
			return err
		}
	}
	return nil
}

// Roots are the authorities of CAFile.
func (f Files) Roots() (*x509.CertPool, error) {
	data, err := readPEM("CAFile", f.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, bad("CAFile", "%s holds no certificate", f.CAFile)
	}
	return pool, nil
}

// Pair is the certificate of CertFile with the key of KeyFile.
func (f Files) Pair() (tls.Certificate, error) {
	cert, err := readPEM("CertFile", f.CertFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := checkMode(f.KeyFile); err != nil {
		return tls.Certificate{}, err
	}
	key, err := readPEM("KeyFile", f.KeyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, bad("CertFile", "%s and %s: %s", f.CertFile, f.KeyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return pair, checkDates(f.CertFile, pair.Leaf)
}

func checkDates(file string, leaf *x509.Certificate) error {
	now := time.Now()
	switch {
	case leaf == nil:
		return nil
	case now.After(leaf.NotAfter):
		return bad("CertFile", "%s expired on %s", file, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return bad("CertFile", "%s is valid from %s on", file, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

func readPEM(field, file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, bad(field, "%v", err)
	}
	if block, _ := pem.Decode(data); block == nil {
		return nil, bad(field, "%s is not PEM; a PKCS#12 file is converted by: openssl pkcs12 -in FILE -nodes", file)
	}
	return data, nil
}

// checkMode refuses a private key that other users of the machine can read.
func checkMode(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return bad("KeyFile", "%v", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return bad("KeyFile", "%s has mode %04o: others can read it; chmod 600 it", file, mode)
	}
	return nil
}
