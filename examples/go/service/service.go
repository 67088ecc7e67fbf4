// Package service is what the services of the trading example share: opening a
// bus by its URL, identities that survive reprocessing, history, and metrics.
//
// Each service is a package with one Run. Delivery is at least once, so all of
// them keep to three rules, which is why any of them can be killed at any time:
//
//   - what a service publishes has an identity that follows from what it says
//     (ID), so that saying it again is a duplicate and not news;
//   - a message is finished, by returning nil, only when what follows from it is
//     stored;
//   - what a service remembers it can read again from the log (Log).
package service

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// Config is what every service is told.
type Config struct {
	// Env is dev, paper or prod.
	Env string
	// RunID names the session. Accounts and order ids carry it, so that two
	// sessions on one broker do not meet.
	RunID string
	// Since is where the session begins: older records are not read. Zero: all
	// that the broker holds.
	Since time.Time
	// Lease is how long a killed instance keeps others waiting. Zero: 10 s.
	Lease time.Duration
	// Instance tells apart the instances of a service, for producer and metrics.
	Instance string
	// Meter counts. It is never nil in a Run.
	Meter *Meter
}

// Topic is a topic, or a pattern, of the service's environment.
func (c Config) Topic(domain, subtopic string) string {
	return ampybus.Topic{Env: c.Env, Domain: domain, Version: "v1", Subtopic: subtopic}.String()
}

// Account is the account that the session trades.
func (c Config) Account() string { return "DEMO-" + c.RunID }

// Producer names an instance of a service, as the specification does: ampy-oms@oms-1.
func (c Config) Producer(name string) string { return name + "@" + c.Instance }

// Consumer is a durable group of the service.
func (c Config) Consumer(group, pattern string) ampybus.Consumer {
	return ampybus.Consumer{
		Group: group, Pattern: pattern, Member: c.Instance,
		Start: c.Since, Lease: c.Lease,
	}
}

// Run is a service: it works until ctx ends, then finishes what it began.
type Run func(ctx context.Context, bus *ampybus.Bus, c Config) error

// Opener opens a bus whose events o sees.
type Opener func(o ampybus.Observer) (*ampybus.Bus, error)

// Dial makes the Opener of a broker's URL. The scheme alone chooses the broker:
// nats or tls, kafka or kafka+tls.
func Dial(url string) (Opener, error) {
	scheme, _, _ := strings.Cut(url, "://")
	switch scheme {
	case "nats", "tls":
		return func(o ampybus.Observer) (*ampybus.Bus, error) {
			return natsbinding.Connect(natsbinding.Config{URL: url, Bus: ampybus.Options{Observer: o}})
		}, nil
	case "kafka", "kafka+tls":
		return func(o ampybus.Observer) (*ampybus.Bus, error) {
			return kafkabinding.Connect(kafkabinding.Config{Brokers: []string{url}, Bus: ampybus.Options{Observer: o}})
		}, nil
	}
	return nil, fmt.Errorf("bus URL %q: unknown scheme; write nats://host:port or kafka://host:port", url)
}

// Host gives run a bus of its own and publishes its metrics until it has ended.
func Host(ctx context.Context, open Opener, name string, run Run, c Config) error {
	c.Meter = NewMeter(name, c.Instance)
	bus, err := open(c.Meter)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	reporting, stop := context.WithCancel(ctx)
	reported := make(chan error, 1)
	go func() { reported <- c.Meter.Report(reporting, bus, c) }()

	err = run(ctx, bus, c)
	stop()
	if e := <-reported; err == nil {
		err = e
	}
	if e := bus.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
