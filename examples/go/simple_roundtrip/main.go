// examples/go/simple_roundtrip/main.go
package main

import (
	"context"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

func main() {
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
