package kafkabinding

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func startSecure(t *testing.T, c kafkaserver.Config) string {
	t.Helper()
	srv, err := kafkaserver.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv.Addrs()[0]
}

// stores publishes one record, to show that a connection works.
func stores(t *testing.T, c Config, n int) {
	t.Helper()
	c.Logger = quiet()
	tr, err := Dial(c)
	if err != nil {
		t.Errorf("%v: %v", c, err)
		return
	}
	defer tr.Close(t.Context())
	if o := attempt(tr, numbered("k", n, 1))[0]; o.Err != nil {
		t.Errorf("%v: %v", c, o.Err)
	}
}

func refuses(t *testing.T, what string, c Config, want error) {
	t.Helper()
	c.Logger = quiet()
	began := time.Now()
	tr, err := Dial(c)
	if err == nil {
		_ = tr.Close(t.Context())
	}
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%s: refused after %v", what, took)
	}
}

func TestCredentialsAreChecked(t *testing.T) {
	for _, mechanism := range []string{plainSASL, scram256, scram512} {
		addr := startSecure(t, kafkaserver.Config{Options: []kfake.Opt{kfake.EnableSASL(), kfake.Superuser(mechanism, "jo", "secret")}})
		good := Config{Brokers: []string{addr}, User: "jo", Pass: "secret", Mechanism: mechanism, PlainWithoutTLS: true}
		stores(t, good, 0)
		bad := good
		bad.Pass = "wrong"
		refuses(t, mechanism+" with a wrong password", bad, driver.ErrAuth)
		refuses(t, mechanism+" without credentials", Config{Brokers: []string{addr}}, driver.ErrAuth)
	}
}

func TestCertificatesAreCheckedOnBothSides(t *testing.T) {
	ca, other := brokertest.NewCA(t, "ours"), brokertest.NewCA(t, "other")
	addr := startSecure(t, kafkaserver.Config{TLS: ca.ServerTLS(ca.Pool())})
	dir := t.TempDir()
	authority := brokertest.WriteFile(t, dir, "ca.pem", ca.PEM())
	foreign := brokertest.WriteFile(t, dir, "other.pem", other.PEM())
	issue := func(a *brokertest.CA, name string, until time.Time) (cert, key string) {
		c, k := a.Issue(name, until)
		return brokertest.WriteFile(t, dir, name+".pem", c), brokertest.WriteFile(t, dir, name+".key", k)
	}
	cert, key := issue(ca, "jo", time.Now().Add(time.Hour))
	good := Config{Brokers: []string{addr}, TLS: TLS{CAFile: authority, CertFile: cert, KeyFile: key}}
	stores(t, good, 0)

	bad := good
	bad.TLS.CAFile = foreign
	refuses(t, "an authority that did not sign the broker", bad, driver.ErrConfig)
	bad = good
	bad.TLS.CertFile, bad.TLS.KeyFile = issue(ca, "late", time.Now().Add(-time.Hour))
	refuses(t, "an expired pair", bad, driver.ErrConfig)
	bad.TLS.CertFile, bad.TLS.KeyFile = issue(other, "mallory", time.Now().Add(time.Hour))
	refuses(t, "a pair of another authority", bad, driver.ErrAuth)
	bad.TLS.CertFile, bad.TLS.KeyFile = cert, ""
	refuses(t, "a certificate without its key", bad, driver.ErrConfig)
	refuses(t, "plaintext to a TLS port", Config{Brokers: []string{addr}}, driver.ErrUnreachable)

	open := filepath.Join(dir, "jo.key")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	refuses(t, "a key that others can read", good, driver.ErrConfig)

	plain := startSecure(t, kafkaserver.Config{})
	refuses(t, "TLS to a plaintext port", Config{Brokers: []string{plain}, TLS: TLS{CAFile: authority}}, driver.ErrConfig)
}

// A certificate that was rotated on the disk is used by the next connection.
func TestRotatedCertificatesAreReadAgain(t *testing.T) {
	ca := brokertest.NewCA(t, "ours")
	addr := startSecure(t, kafkaserver.Config{TLS: ca.ServerTLS(ca.Pool())})
	dir := t.TempDir()
	c := Config{Brokers: []string{addr}, Logger: quiet(), TLS: TLS{CAFile: brokertest.WriteFile(t, dir, "ca.pem", ca.PEM())}}
	write := func() {
		cert, key := ca.Issue("jo", time.Now().Add(time.Hour))
		c.TLS.CertFile = brokertest.WriteFile(t, dir, "jo.pem", cert)
		c.TLS.KeyFile = brokertest.WriteFile(t, dir, "jo.key", key)
	}
	write()
	before, err := c.TLS.config(addr)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		write()
		stores(t, c, n)
	}
	after, err := c.TLS.config(addr)
	if err != nil {
		t.Fatal(err)
	}
	if string(before.Certificates[0].Certificate[0]) == string(after.Certificates[0].Certificate[0]) {
		t.Error("the connection uses the certificate from before the rotation")
	}
}
