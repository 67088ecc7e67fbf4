// Package kafkaserver runs a small Kafka inside this process, for the commands'
// embedded mode and for tests. It is a stand-in for development: it speaks the
// protocol, and does not enforce min.insync.replicas, topic names or the
// configuration of topics. Package kafkabinding never links it.
//
//	s, err := kafkaserver.Start(kafkaserver.Config{})
//	defer s.Close()
//	fmt.Println(s.URL())
package kafkaserver

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Config of a server. The zero value is one broker on a random port that
// forgets everything when it ends.
type Config struct {
	// Ports of the brokers, on 127.0.0.1. Empty: one broker on a random port.
	Ports []int
	// DataDir keeps records, positions and groups over restarts. Empty: memory.
	DataDir string
	// User and Pass ask clients for SCRAM-SHA-512. Empty: nobody is asked.
	User, Pass string
	TLS        *tls.Config // set: TLS is required
	// MinSession is the shortest lease a consumer may ask for. Zero: 6 s, as
	// Kafka's group.min.session.timeout.ms.
	MinSession time.Duration
	// Options go to the server last.
	Options []kfake.Opt
}

// Server is a running cluster.
type Server struct {
	cluster *kfake.Cluster
	once    sync.Once
}

// Start runs a server and returns when it accepts connections.
func Start(c Config) (*Server, error) {
	// Each server is a cluster of its own; one with data keeps the id it has there.
	opts := []kfake.Opt{kfake.NumBrokers(max(1, len(c.Ports))), kfake.ClusterID("kfake-" + rand.Text())}
	if len(c.Ports) > 0 {
		opts = append(opts, kfake.Ports(c.Ports...))
	}
	if c.DataDir != "" {
		opts = append(opts, kfake.DataDir(c.DataDir))
	}
	if c.User != "" {
		opts = append(opts, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", c.User, c.Pass))
	}
	if c.TLS != nil {
		opts = append(opts, kfake.TLS(c.TLS))
	}
	if c.MinSession > 0 {
		opts = append(opts, kfake.GroupMinSessionTimeout(c.MinSession))
	}
	cluster, err := kfake.NewCluster(append(opts, c.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("start kafka server: %w", err)
	}
	return &Server{cluster: cluster}, nil
}

// Addrs lists the brokers as host:port.
func (s *Server) Addrs() []string { return s.cluster.ListenAddrs() }

// URL is where clients connect.
func (s *Server) URL() string { return "kafka://" + strings.Join(s.Addrs(), ",") }

// Native is the cluster itself, for tests that inject faults.
func (s *Server) Native() *kfake.Cluster { return s.cluster }

// Close ends the server. It may be called twice.
func (s *Server) Close() { s.once.Do(s.cluster.Close) }
