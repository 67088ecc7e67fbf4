// Package natsserver runs a nats-server with JetStream inside this process, for
// the commands' embedded mode and for tests. It is not for users of the
// library: package natsbinding never links a server.
//
//	s, err := natsserver.Start(natsserver.Config{StoreDir: "data", SyncAlways: true})
//	defer s.Close()
//	fmt.Println(s.URL())
package natsserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// RandomPort asks the kernel for a free port.
const RandomPort = server.RANDOM_PORT

// readyTimeout is generous: an empty server is ready in 4 ms, one that
// recovers a large store takes seconds.
const readyTimeout = 60 * time.Second

// Config of a server. The zero value listens on 127.0.0.1:4222 and keeps its
// data in a temporary directory.
type Config struct {
	Host string // empty: 127.0.0.1
	Port int    // 0: 4222; RandomPort: any
	// StoreDir holds JetStream's data. Empty: a temporary directory that Close removes.
	StoreDir string
	// SyncAlways makes an acknowledgement mean "on the disk". The server's own
	// default syncs every two minutes: a power cut loses acknowledged messages.
	SyncAlways bool
	// NoJetStream starts a server without streams.
	NoJetStream bool
	// MaxPayload is the largest message in bytes, headers included. 0: 1 MiB.
	MaxPayload int32

	User, Pass, Token string
	TLS               *tls.Config // set: TLS is required
	// HandshakeFirst speaks no plaintext at all, not even the server's greeting.
	HandshakeFirst bool
	// MonitorPort serves /varz and /jsz. 0: off; RandomPort: any.
	MonitorPort int

	// Log writes the server's log to stderr.
	Log bool
	// Tune changes the server's own options last.
	Tune func(*server.Options)
}

// Server is a running nats-server.
type Server struct {
	srv     *server.Server
	opts    *server.Options
	tempDir string
	once    sync.Once
}

// Start runs a server and returns when it accepts connections.
func Start(c Config) (*Server, error) {
	s := &Server{}
	if c.StoreDir == "" && !c.NoJetStream {
		dir, err := os.MkdirTemp("", "ampy-nats-")
		if err != nil {
			return nil, fmt.Errorf("start nats-server: %w", err)
		}
		c.StoreDir, s.tempDir = dir, dir
	}
	s.opts = c.options()
	if err := portFree(s.opts); err != nil {
		s.removeTemp()
		return nil, err
	}
	srv, err := server.NewServer(s.opts)
	if err != nil {
		s.removeTemp()
		return nil, fmt.Errorf("start nats-server: %w", err)
	}
	s.srv = srv
	if c.Log {
		srv.ConfigureLogger()
	}
	srv.Start()
	if !srv.ReadyForConnections(readyTimeout) {
		s.Close()
		return nil, errors.New("start nats-server: it accepts no connections; see its log")
	}
	if !c.NoJetStream && !srv.JetStreamEnabled() {
		s.Close()
		return nil, fmt.Errorf("start nats-server: JetStream cannot use %s: see its log", c.StoreDir)
	}
	return s, nil
}

func (c Config) options() *server.Options {
	o := &server.Options{
		Host: c.Host, Port: c.Port,
		JetStream: !c.NoJetStream, StoreDir: c.StoreDir,
		SyncAlways: c.SyncAlways,
		MaxPayload: c.MaxPayload,
		Username:   c.User, Password: c.Pass, Authorization: c.Token,
		TLS: c.TLS != nil, TLSConfig: c.TLS, TLSTimeout: 2, TLSHandshakeFirst: c.HandshakeFirst,
		HTTPHost: "127.0.0.1", HTTPPort: c.MonitorPort,
		NoSigs: true, NoLog: !c.Log, DisableJetStreamBanner: true,
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if c.Tune != nil {
		c.Tune(o)
	}
	return o
}

// portFree turns the server's way of reporting a taken port, which is to end
// the process, into an error. It runs before the server's own defaults, which
// write another number for any port.
func portFree(o *server.Options) error {
	if o.Port == RandomPort {
		return nil
	}
	port := o.Port
	if port == 0 {
		port = server.DEFAULT_PORT
	}
	l, err := net.Listen("tcp", net.JoinHostPort(o.Host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("start nats-server: %w; is another server running there? choose another port", err)
	}
	return l.Close()
}

// URL is where clients connect.
func (s *Server) URL() string { return s.srv.ClientURL() }

// MonitorURL is the base of the monitoring endpoints, empty when they are off.
func (s *Server) MonitorURL() string {
	a := s.srv.MonitorAddr()
	if a == nil {
		return ""
	}
	return "http://" + a.String()
}

// Native is the server itself, for tests that need more of it.
func (s *Server) Native() *server.Server { return s.srv }

// Reload applies options while the server runs: a new certificate, new users.
// Options that a server cannot change while it runs are an error.
func (s *Server) Reload(change func(*server.Options)) error {
	o := s.opts.Clone()
	o.Port = s.srv.Addr().(*net.TCPAddr).Port
	change(o)
	if err := s.srv.ReloadOptions(o); err != nil {
		return fmt.Errorf("reload nats-server: %w", err)
	}
	s.opts = o
	return nil
}

// Wait returns when the server has ended.
func (s *Server) Wait() { s.srv.WaitForShutdown() }

// Close ends the server and waits for it. It may be called twice.
func (s *Server) Close() {
	s.once.Do(func() {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
		s.removeTemp()
	})
}

func (s *Server) removeTemp() {
	if s.tempDir != "" {
		_ = os.RemoveAll(s.tempDir)
	}
}
