// Command nats_pubsub publishes trade ticks and consumes them in a durable
// group, until it is told to end:
//
//	ampybusctl server &
//	go run ./examples/go/nats_pubsub
//
// It shows what a service needs beyond simple_roundtrip: a payload with derived
// keys, asynchronous publishing and its three outcomes, retries and dead
// letters, an observer, and a shutdown that loses nothing. NATS_URL and the
// other NATS_ variables choose the server.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	ticksv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/ticks/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

const (
	env      = "dev"
	producer = "nats-pubsub@example-1"
	interval = 200 * time.Millisecond
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("nats_pubsub", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg := natsbinding.FromEnv()
	cfg.Bus = ampybus.Options{Observer: logObserver{}}
	bus, err := natsbinding.Connect(cfg)
	if err != nil {
		return err // it says what to do
	}
	var publishing sync.WaitGroup
	publishing.Go(func() { publish(ctx, bus) })

	// Consume returns when ctx has ended and running handlers are done: what is
	// not finished by then is delivered again to the next member of the group.
	err = bus.Consume(ctx, ampybus.Consumer{
		Pattern: "ampy." + env + ".ticks.v1.trade.>",
		Group:   "nats-pubsub-example",
		Workers: 16, // keys handled at once; the ticks of one key stay in order
	}, handle)
	publishing.Wait()
	// Close waits for publishes that are not settled.
	return errors.Join(err, bus.Close())
}

// handle applies one tick. Its error decides: nil finishes the message, another
// error tries again within the domain's budget, Permanent gives it up at once.
// Given up means: stored in ampy.dev.dlq.v1.ticks, never dropped.
func handle(_ context.Context, m *ampybus.Message) error {
	payload, err := protopayload.Decode(m.Headers.SchemaFQDN, m.Payload)
	if err != nil {
		return err // poison: a dead letter at once, with the reason
	}
	tick, ok := payload.(*ticksv1.TradeTick)
	if !ok {
		return ampybus.Permanent(fmt.Errorf("%s is not a trade", m.Headers.SchemaFQDN))
	}
	slog.Info("trade", "key", m.Headers.PartitionKey, "scaled_price", tick.GetPrice().GetScaled(),
		"message_id", m.Headers.MessageID, "attempt", m.Attempt)
	return nil
}

// publish sends ticks of three securities, without waiting for each.
func publish(ctx context.Context, bus *ampybus.Bus) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for n := int64(0); ; n++ {
		symbol := []string{"AAPL", "MSFT", "BRK.B"}[n%3]
		e, err := trade(symbol, 191_9900+n, time.Now())
		if err != nil {
			slog.Error("make tick", "err", err)
			return
		}
		bus.PublishAsync(e, func(err error) {
			switch {
			case err == nil: // stored
			case errors.Is(err, ampybus.ErrUncertain):
				// Stored or not: publishing e again, with its message_id, stores one copy.
				slog.Warn("uncertain", "message_id", e.Headers.MessageID, "err", err)
			default:
				slog.Error("not stored", "message_id", e.Headers.MessageID, "err", err)
			}
		})
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// trade makes the envelope of a tick: topic, partition key and schema hash
// follow from the payload.
func trade(symbol string, scaledPrice int64, at time.Time) (ampybus.Envelope, error) {
	tick := &ticksv1.TradeTick{
		Security:  &commonv1.SecurityId{Symbol: symbol, Mic: "XNAS"},
		Price:     &commonv1.Decimal{Scaled: scaledPrice, Scale: 4},
		Size:      100,
		EventTime: timestamppb.New(at),
	}
	topic, err := protopayload.TopicOf(env, tick)
	if err != nil {
		return ampybus.Envelope{}, err
	}
	return protopayload.Envelope(topic.String(), tick, producer, "example")
}

// logObserver logs what an operator should know. Metrics would go here too.
type logObserver struct{}

func (logObserver) Published(ampybus.PublishEvent) {}

func (logObserver) Consumed(e ampybus.ConsumeEvent) {
	if e.Result != ampybus.ResultOK {
		slog.Warn("consume", "result", e.Result, "reason", e.Reason, "message_id", e.Message.Headers.MessageID, "err", e.Err)
	}
}

func (logObserver) Noticed(n ampybus.Notice) {
	slog.Info("notice", "kind", n.Kind, "lane", n.Lane, "text", n.Text, "err", n.Err)
}
