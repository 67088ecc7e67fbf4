// Package brokertest starts NATS servers for tests: embedded ones, clusters,
// and child processes that a test can kill, stop and continue. All listen on
// 127.0.0.1 and random ports and end with the test.
package brokertest

import (
	"net"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/natsserver"
)

// Start runs an embedded server with JetStream until the test ends. Each tune
// may change its configuration first.
func Start(tb testing.TB, tune ...func(*natsserver.Config)) *natsserver.Server {
	tb.Helper()
	c := natsserver.Config{Port: natsserver.RandomPort, StoreDir: tb.TempDir()}
	for _, f := range tune {
		f(&c)
	}
	s, err := natsserver.Start(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// FreePort is a port that was free a moment ago, for servers that must come
// back on the same one.
func FreePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
