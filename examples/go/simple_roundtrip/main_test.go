package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/natsserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

func TestTheMessageComesBack(t *testing.T) {
	s, err := natsserver.Start(natsserver.Config{Port: natsserver.RandomPort})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := roundtrip(s.URL()); err != nil {
		t.Error(err)
	}
}

// Example is the specification's first program, word for word: it must go on
// compiling. Without an expected output it is not run.
func Example() {
	// Connect to NATS
	cfg := natsbinding.Config{URL: "nats://localhost:4222"}
	bus, _ := natsbinding.Connect(cfg)
	defer bus.Close()

	// Publish message
	headers := ampybus.NewHeaders("ampy.bars.v1.BarBatch", "test-producer", "test-source", "XNAS.AAPL")
	bus.Publish(context.Background(), "ampy.prod.bars.v1.XNAS.AAPL", headers, []byte("payload"))

	// Subscribe to messages
	bus.Subscribe("ampy.prod.bars.v1.>", func(msg *ampybus.Message) {
		fmt.Printf("Received: %s\n", msg.Headers.MessageID)
	})
}
