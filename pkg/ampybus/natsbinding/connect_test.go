package natsbinding

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// dial connects and closes with the test.
func dial(t testing.TB, c Config) *Transport {
	t.Helper()
	if c.Logger == nil {
		c.Logger = quiet()
	}
	tr, err := Dial(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = tr.Close(ctx)
	})
	return tr
}

// refuses expects a connection to fail in time, with a sentinel and words.
func refuses(t *testing.T, c Config, kind error, words ...string) {
	t.Helper()
	c.Logger = quiet()
	began := time.Now()
	tr, err := Dial(c)
	if err == nil {
		_ = tr.Close(t.Context())
		t.Fatalf("%v connected", c)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the answer took %v", took)
	}
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func TestConfigurationIsCheckedBeforeConnecting(t *testing.T) {
	for url, word := range map[string]string{
		"http://host:4222": "scheme", "nats://": "no host", "nats://host:99999": "port", "nats://host:0": "port",
		"[::1": "not a URL", "nats://a,,nats://b": "empty", " ": "empty", "nats://host:x": "URL",
	} {
		refuses(t, Config{URL: url}, driver.ErrConfig, word)
	}
	refuses(t, Config{URL: strings.Repeat("nats://h,", 199) + "nats://h"}, driver.ErrConfig, "200 servers")
	refuses(t, Config{Pass: "x"}, driver.ErrConfig, "User")
	refuses(t, Config{User: "u", Token: "t"}, driver.ErrConfig, "one")
	refuses(t, Config{CredsFile: "/nonexistent/x.creds"}, driver.ErrConfig, "x.creds")
	refuses(t, Config{NKeySeedFile: "/nonexistent/x.nk"}, driver.ErrConfig, "x.nk")
	refuses(t, Config{NKeySeed: "SUnonsense"}, driver.ErrConfig, "NKeySeed")
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c := Config{URL: "nats://bob:hunter2@127.0.0.1:1,nats://tok3n@127.0.0.1:1", User: "alice", Pass: "s3cret"}
	_, err := Dial(Config{URL: c.URL, Logger: quiet()})
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c.LogValue()), fmt.Sprint(err)} {
		for _, secret := range []string{"hunter2", "s3cret", "tok3n"} {
			if strings.Contains(s, secret) {
				t.Errorf("%q shows %s", s, secret)
			}
		}
	}
}

func TestEnvironmentIsReadOnRequest(t *testing.T) {
	t.Setenv("NATS_URL", "nats://h:1")
	t.Setenv("NATS_USER", "u")
	t.Setenv("NATS_PASS", "p")
	t.Setenv("NATS_TOKEN", "t")
	t.Setenv("NATS_CREDS", "c")
	t.Setenv("NATS_TLS_CA", "ca")
	t.Setenv("NATS_TLS_CERT", "cert")
	t.Setenv("NATS_TLS_KEY", "key")
	t.Setenv("NATS_NKEY_SEED", "/etc/SU.nk")
	c := FromEnv()
	if c.URL != "nats://h:1" || c.User != "u" || c.Pass != "p" || c.Token != "t" || c.CredsFile != "c" ||
		c.NKeySeedFile != "/etc/SU.nk" || c.TLS != (TLS{CAFile: "ca", CertFile: "cert", KeyFile: "key"}) {
		t.Errorf("got %+v", c.TLS)
	}
	t.Setenv("NATS_NKEY_SEED", "SUAABBCC")
	if c := FromEnv(); c.NKeySeed != "SUAABBCC" || c.NKeySeedFile != "" {
		t.Error("a seed in the environment was taken for a file")
	}
}

func TestUnreachableServerIsReportedWithAdvice(t *testing.T) {
	began := time.Now()
	refuses(t, Config{URL: fmt.Sprintf("nats://127.0.0.1:%d", brokertest.FreePort(t))}, driver.ErrUnreachable, "ampybusctl server")
	refuses(t, Config{URL: fmt.Sprintf("127.0.0.1:%d", brokertest.FreePort(t))}, driver.ErrUnreachable)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the answers took %v", took)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began = time.Now()
	refuses(t, Config{URL: "nats://" + silent.Addr().String()}, driver.ErrUnreachable, "nobody greets")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a port that says nothing took %v", took)
	}
}

func TestServerWithoutJetStreamIsReported(t *testing.T) {
	s := brokertest.Start(t, func(c *natsserver.Config) { c.NoJetStream = true })
	refuses(t, Config{URL: s.URL()}, driver.ErrUnreachable, "JetStream is off", "-js")
}

func TestCredentials(t *testing.T) {
	userKey, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := userKey.Seed()
	public, _ := userKey.PublicKey()
	dir := t.TempDir()
	seedFile := brokertest.WriteFile(t, dir, "user.nk", seed)

	t.Run("user and password", func(t *testing.T) {
		s := brokertest.Start(t, func(c *natsserver.Config) { c.User, c.Pass = "u", "p" })
		dial(t, Config{URL: s.URL(), User: "u", Pass: "p"})
		dial(t, Config{URL: strings.Replace(s.URL(), "nats://", "nats://u:p@", 1)})
		refuses(t, Config{URL: s.URL(), User: "u", Pass: "wrong"}, driver.ErrAuth, "user u")
		refuses(t, Config{URL: s.URL()}, driver.ErrAuth)
	})
	t.Run("token", func(t *testing.T) {
		s := brokertest.Start(t, func(c *natsserver.Config) { c.Token = "t0ken" })
		dial(t, Config{URL: s.URL(), Token: "t0ken"})
		refuses(t, Config{URL: s.URL(), Token: "wrong"}, driver.ErrAuth, "token")
	})
	t.Run("nkey", func(t *testing.T) {
		s := brokertest.Start(t, func(c *natsserver.Config) {
			c.Tune = func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} }
		})
		dial(t, Config{URL: s.URL(), NKeySeedFile: seedFile})
		dial(t, Config{URL: s.URL(), NKeySeed: string(seed)})
		other, _ := nkeys.CreateUser()
		wrong, _ := other.Seed()
		refuses(t, Config{URL: s.URL(), NKeySeed: string(wrong)}, driver.ErrAuth, "nkey")
	})
	t.Run("creds", func(t *testing.T) {
		creds := newOperator(t, dir)
		s := brokertest.Start(t, func(c *natsserver.Config) { c.Tune = creds.tune })
		dial(t, Config{URL: s.URL(), CredsFile: creds.file})
		refuses(t, Config{URL: s.URL()}, driver.ErrAuth)
	})
}

// operator is a server's trust in JWTs, and one user's credentials.
type operator struct {
	file string
	tune func(*server.Options)
}

func newOperator(t *testing.T, dir string) operator {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	opKey, err := nkeys.CreateOperator()
	must(err)
	accKey, err := nkeys.CreateAccount()
	must(err)
	userKey, err := nkeys.CreateUser()
	must(err)
	opPub, _ := opKey.PublicKey()
	accPub, _ := accKey.PublicKey()
	userPub, _ := userKey.PublicKey()
	acc := jwt.NewAccountClaims(accPub)
	acc.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1}
	accJWT, err := acc.Encode(opKey)
	must(err)
	sysKey, err := nkeys.CreateAccount()
	must(err)
	sysPub, _ := sysKey.PublicKey()
	sysJWT, err := jwt.NewAccountClaims(sysPub).Encode(opKey)
	must(err)
	userJWT, err := jwt.NewUserClaims(userPub).Encode(accKey)
	must(err)
	seed, _ := userKey.Seed()
	file, err := jwt.FormatUserConfig(userJWT, seed)
	must(err)
	return operator{
		file: brokertest.WriteFile(t, dir, "user.creds", file),
		tune: func(o *server.Options) {
			resolver := &server.MemAccResolver{}
			must(resolver.Store(accPub, accJWT))
			must(resolver.Store(sysPub, sysJWT))
			o.TrustedKeys, o.AccountResolver, o.SystemAccount = []string{opPub}, resolver, sysPub
		},
	}
}

func TestCertificates(t *testing.T) {
	ca, stranger := brokertest.NewCA(t, "ours"), brokertest.NewCA(t, "stranger")
	dir := t.TempDir()
	write := func(name string, data []byte) string { return brokertest.WriteFile(t, dir, name, data) }
	later := time.Now().Add(time.Hour)
	cert, key := ca.Issue("client", later)
	caFile, certFile, keyFile := write("ca.pem", ca.PEM()), write("client.pem", cert), write("client.key", key)
	otherCert, _ := ca.Issue("other", later)
	oldCert, oldKey := ca.Issue("client", time.Now().Add(-time.Hour))
	alienCert, alienKey := stranger.Issue("client", later)
	openKey := write("open.key", key)
	if err := os.Chmod(openKey, 0o644); err != nil {
		t.Fatal(err)
	}
	pkcs12 := write("client.p12", []byte{0x30, 0x82, 0x09, 0x51, 0x02, 0x01, 0x03})

	mutual := brokertest.Start(t, func(c *natsserver.Config) { c.TLS = ca.ServerTLS(ca.Pool()) })
	oneSided := brokertest.Start(t, func(c *natsserver.Config) { c.TLS = ca.ServerTLS(nil) })
	first := brokertest.Start(t, func(c *natsserver.Config) { c.TLS, c.HandshakeFirst = ca.ServerTLS(nil), true })
	plain := brokertest.Start(t)
	good := TLS{CAFile: caFile, CertFile: certFile, KeyFile: keyFile}

	for name, c := range map[string]Config{
		"mutual":          {URL: mutual.URL(), TLS: good},
		"server only":     {URL: oneSided.URL(), TLS: TLS{CAFile: caFile}},
		"tls scheme":      {URL: strings.Replace(oneSided.URL(), "nats://", "tls://", 1), TLS: TLS{CAFile: caFile}},
		"handshake first": {URL: first.URL(), TLS: TLS{CAFile: caFile, HandshakeFirst: true}},
	} {
		t.Run(name, func(t *testing.T) { dial(t, c) })
	}
	for name, bad := range map[string]struct {
		url   string
		tls   TLS
		kind  error
		words []string
	}{
		"cert without key":    {mutual.URL(), TLS{CAFile: caFile, CertFile: certFile}, driver.ErrConfig, []string{"client.pem", "key"}},
		"key without cert":    {mutual.URL(), TLS{CAFile: caFile, KeyFile: keyFile}, driver.ErrConfig, []string{"client.key", "certificate"}},
		"mismatched pair":     {mutual.URL(), TLS{caFile, write("o.pem", otherCert), keyFile, false, ""}, driver.ErrConfig, []string{"o.pem", "match"}},
		"readable key":        {mutual.URL(), TLS{CAFile: caFile, CertFile: certFile, KeyFile: openKey}, driver.ErrConfig, []string{"open.key", "0644", "chmod 600"}},
		"expired":             {mutual.URL(), TLS{caFile, write("old.pem", oldCert), write("old.key", oldKey), false, ""}, driver.ErrConfig, []string{"old.pem", "expired"}},
		"PKCS#12":             {mutual.URL(), TLS{CAFile: caFile, CertFile: pkcs12, KeyFile: keyFile}, driver.ErrConfig, []string{"client.p12", "PKCS#12"}},
		"key in cert's place": {mutual.URL(), TLS{CAFile: caFile, CertFile: keyFile, KeyFile: keyFile}, driver.ErrConfig, []string{"client.key"}},
		"missing CA file":     {mutual.URL(), TLS{CAFile: filepath.Join(dir, "none.pem")}, driver.ErrConfig, []string{"none.pem"}},
		"empty CA file":       {mutual.URL(), TLS{CAFile: write("empty.pem", nil)}, driver.ErrConfig, []string{"empty.pem"}},
		"key as CA":           {mutual.URL(), TLS{CAFile: keyFile}, driver.ErrConfig, []string{"no certificate"}},
		"wrong CA":            {mutual.URL(), TLS{write("alien-ca.pem", stranger.PEM()), certFile, keyFile, false, ""}, driver.ErrConfig, []string{"alien-ca.pem", "not signed"}},
		"no CA":               {oneSided.URL(), TLS{}, driver.ErrConfig, []string{"TLS.CAFile"}},
		"no client cert":      {mutual.URL(), TLS{CAFile: caFile}, driver.ErrAuth, []string{"certificate"}},
		"stranger's cert":     {mutual.URL(), TLS{caFile, write("alien.pem", alienCert), write("alien.key", alienKey), false, ""}, driver.ErrAuth, []string{"certificate"}},
		"wrong server name":   {oneSided.URL(), TLS{CAFile: caFile, ServerName: "elsewhere.example"}, driver.ErrConfig, []string{"another host"}},
		"tls to plaintext":    {strings.Replace(plain.URL(), "nats://", "tls://", 1), TLS{CAFile: caFile}, driver.ErrConfig, []string{"plaintext"}},
		"files to plaintext":  {plain.URL(), good, driver.ErrConfig, []string{"plaintext"}},
		"first to plaintext":  {plain.URL(), TLS{CAFile: caFile, HandshakeFirst: true}, driver.ErrConfig, []string{"plaintext"}},
		"plaintext to first":  {first.URL(), TLS{}, driver.ErrUnreachable, []string{"HandshakeFirst"}},
		"tls to first":        {first.URL(), TLS{CAFile: caFile}, driver.ErrUnreachable, []string{"HandshakeFirst"}},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, Config{URL: bad.url, TLS: bad.tls}, bad.kind, bad.words...)
		})
	}
}

func TestRotatedCertificatesAreUsedOnReconnect(t *testing.T) {
	old, young := brokertest.NewCA(t, "old"), brokertest.NewCA(t, "young")
	dir := t.TempDir()
	write := func(name string, data []byte) string { return brokertest.WriteFile(t, dir, name, data) }
	issue := func(ca *brokertest.CA) {
		cert, key := ca.Issue("client", time.Now().Add(time.Hour))
		write("client.key", key)
		write("client.pem", cert)
	}
	issue(old)
	c := TLS{
		CAFile:   write("ca.pem", append(old.PEM(), young.PEM()...)),
		CertFile: filepath.Join(dir, "client.pem"), KeyFile: filepath.Join(dir, "client.key"),
	}
	s := brokertest.Start(t, func(n *natsserver.Config) { n.TLS = old.ServerTLS(old.Pool()) })
	tr := dial(t, Config{URL: s.URL(), TLS: c})
	serverTLS := func(conf *tls.Config) {
		t.Helper()
		if err := s.Reload(func(o *server.Options) { o.TLSConfig = conf }); err != nil {
			t.Fatal(err)
		}
	}
	publishOne(t, tr, "before")
	// The recipe: both sides trust both, then the server's pair changes, then
	// the clients', then the old authority goes.
	serverTLS(young.ServerTLS(old.Pool(young)))
	publishOne(t, tr, "server rotated")
	issue(young)
	write("ca.pem", young.PEM())
	serverTLS(young.ServerTLS(young.Pool()))
	if err := tr.nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	publishUntilStored(t, tr, "client rotated")
	state, err := tr.nc.TLSConnectionState()
	if err != nil || state.PeerCertificates[0].Issuer.CommonName != "young" {
		t.Errorf("the connection is to a server certified by %v, %v", state.PeerCertificates[0].Issuer, err)
	}
	issue(old)
	refuses(t, Config{URL: s.URL(), TLS: c}, driver.ErrAuth)
}
