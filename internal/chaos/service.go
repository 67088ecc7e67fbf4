package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/kafkabinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// AckTimeout is enough for a loaded machine, and keeps uncertain outcomes from
// taking long.
const AckTimeout = time.Second

// NATS is how scenes connect.
func NATS(url string) natsbinding.Config {
	return natsbinding.Config{URL: url, AckTimeout: AckTimeout, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// Kafka is how scenes connect. Topics have one partition, as NATS has one log.
func Kafka(brokers ...string) kafkabinding.Config {
	return kafkabinding.Config{
		Brokers: brokers, Partitions: 1, AckTimeout: AckTimeout, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// Connect returns a bus over the broker of a URL: nats:// or kafka://.
func Connect(url string) (*ampybus.Bus, error) {
	if strings.HasPrefix(url, "kafka") {
		return kafkabinding.Connect(Kafka(url))
	}
	return natsbinding.Connect(NATS(url))
}

// Service is a consumer in a process of its own: what the role RunService is
// told. It says "ready" when it has connected.
type Service struct {
	URL     string // of the broker
	Store   string // address of the store, of Serve
	Name    string // of the process
	Topic   string
	Lease   time.Duration
	MaxSpan int
	Shares  int
	Takes   time.Duration // of one attempt
}

// RunService consumes into the store of its parent until SIGTERM. It keeps no
// memory of what it applied, so that the store sees every repeat.
func RunService(args []byte) error {
	var s Service
	if err := json.Unmarshal(args, &s); err != nil {
		return fmt.Errorf("read service: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	store, err := DialStore(s.Store)
	if err != nil {
		return err
	}
	bus, err := Connect(s.URL)
	if err != nil {
		return err
	}
	Say("ready")
	err = bus.Consume(ctx, ampybus.Consumer{
		Pattern: s.Topic, Group: Group, Lease: s.Lease, MaxSpan: s.MaxSpan, Shares: s.Shares,
		Workers: 8, Dedupe: ampybus.NoDedupe{},
	}, func(_ context.Context, m *ampybus.Message) error {
		if s.Takes > 0 {
			<-time.After(s.Takes)
		}
		o, err := store.Apply(s.Name, m)
		if o == Fenced {
			return ampybus.ErrFenced
		}
		return err
	})
	if err != nil {
		return err
	}
	return bus.Close()
}
