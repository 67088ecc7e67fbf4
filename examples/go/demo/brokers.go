package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
)

const (
	// shortLease is how long a killed instance keeps its successor waiting.
	shortLease = 2 * time.Second
	// kafkaLease is the shortest that Kafka allows: group.min.session.timeout.ms.
	kafkaLease = 6 * time.Second
)

// leaseOn is the shortest lease that a broker allows as it comes.
func leaseOn(bus string) time.Duration {
	if strings.HasPrefix(bus, "kafka") {
		return kafkaLease
	}
	return shortLease
}

// An embed starts a broker in this process, says so, and returns its URL.
type embed func(out io.Writer) (url string, stop func(), err error)

func embedded() map[string]embed {
	return map[string]embed{"nats": embedNATS, "kafka": embedKafka}
}

func embedNATS(out io.Writer) (string, func(), error) {
	s, err := natsserver.Start(natsserver.Config{Port: natsserver.RandomPort})
	if err != nil {
		return "", nil, err
	}
	_, _ = fmt.Fprintf(out, "embedded nats-server with JetStream at %s\n", s.URL())
	return s.URL(), s.Close, nil
}

func embedKafka(out io.Writer) (string, func(), error) {
	s, err := kafkaserver.Start(kafkaserver.Config{MinSession: shortLease})
	if err != nil {
		return "", nil, err
	}
	_, _ = fmt.Fprintf(out, "embedded stand-in for Kafka, for development, at %s\n", s.URL())
	return s.URL(), s.Close, nil
}
