// Package brokertest starts NATS servers for tests: embedded ones, clusters,
// and child processes that a test can kill, stop and continue. All listen on
// 127.0.0.1 and random ports and end with the test.
package brokertest

import (
	"fmt"
	"math/rand/v2"
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
// back on the same one. It lies below those that the kernel gives to outgoing
// connections, so that none of these takes it meanwhile.
func FreePort(tb testing.TB) int {
	tb.Helper()
	const low, high = 12_000, 32_000
	for range 1000 {
		port := low + rand.IntN(high-low)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close()
		return port
	}
	tb.Fatal("no free port")
	return 0
}
