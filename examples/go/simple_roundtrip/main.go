// Command simple_roundtrip subscribes, publishes one message and prints it when
// it comes back. It needs a server on localhost:4222: ampybusctl server.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// patience is far above the milliseconds that a round trip takes.
const patience = 5 * time.Second

func main() {
	if err := roundtrip("nats://localhost:4222"); err != nil {
		log.Fatal(err)
	}
}

func roundtrip(url string) error {
	bus, err := natsbinding.Connect(natsbinding.Config{URL: url})
	if err != nil {
		return err // it says what to do
	}
	defer bus.Close()

	// A subscription sees what is stored from now on, until the bus is closed.
	received := make(chan string, 1)
	_, err = bus.Subscribe("ampy.prod.bars.v1.>", func(msg *ampybus.Message) {
		select {
		case received <- msg.Headers.MessageID:
		default: // one is enough
		}
	})
	if err != nil {
		return err
	}

	headers := ampybus.NewHeaders("ampy.bars.v1.BarBatch", "test-producer", "test-source", "XNAS.AAPL")
	if err := bus.Publish(context.Background(), "ampy.prod.bars.v1.XNAS.AAPL", headers, []byte("payload")); err != nil {
		return err
	}
	fmt.Printf("Published: %s\n", headers.MessageID)

	select {
	case id := <-received:
		fmt.Printf("Received: %s\n", id)
		return nil
	case <-time.After(patience):
		return errors.New("the message did not come back")
	}
}
