package ampybus_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/ways"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

// pathMessages pass in one turn of a benchmark of a whole path, over
// pathKeys keys: joining a group and making a broker are spread over them.
const (
	pathMessages = 10_000
	pathKeys     = 256
)

func pathEnvelope(i int) ampybus.Envelope {
	key := fmt.Sprint("XNAS.S", i%pathKeys)
	return ampybus.Envelope{
		Topic:   "ampy.dev.bars.v1." + key,
		Headers: ampybus.NewHeaders("ampy.bars.v1.BarBatch", "bench@test", "bench", key),
		Payload: make([]byte, 128),
	}
}

// BenchmarkPublishPath is all of a publish on the memory transport: the bus's
// own way, and what the transport takes of it.
func BenchmarkPublishPath(b *testing.B) {
	ways.PerMessage(b, "bus", pathMessages, func(b *testing.B) {
		bus := membinding.New(membinding.Config{}).Connect(ampybus.Options{})
		publishAll(b, bus)
		_ = bus.Close()
	})
	ways.PerMessage(b, "transport", pathMessages, func(b *testing.B) {
		t := membinding.New(membinding.Config{}).Transport()
		for i := range pathMessages {
			e := pathEnvelope(i)
			e.Headers.Topic = e.Topic
			r := driver.Record{Topic: e.Topic, Key: e.Headers.PartitionKey, ID: e.Headers.MessageID, Headers: ampybus.EncodeHeaders(e.Headers), Value: e.Payload}
			t.Publish([]driver.Record{r}, func(_ int, o driver.Outcome) {
				if o.Err != nil {
					b.Error(o.Err)
				}
			})
		}
		_ = t.Close(b.Context())
	})
}

func publishAll(b *testing.B, bus *ampybus.Bus) {
	var all sync.WaitGroup
	all.Add(pathMessages)
	for i := range pathMessages {
		bus.PublishAsync(pathEnvelope(i), func(err error) {
			if err != nil {
				b.Error(err)
			}
			all.Done()
		})
	}
	all.Wait()
}

// BenchmarkConsumePath is all of consuming from the memory transport, as a new
// group each time: the bus's own way, and what the transport takes of it.
func BenchmarkConsumePath(b *testing.B) {
	broker := membinding.New(membinding.Config{})
	bus := broker.Connect(ampybus.Options{})
	defer bus.Close()
	publishAll(b, bus)
	group := 0
	ways.PerMessage(b, "bus", pathMessages, func(b *testing.B) {
		group++
		ctx, done := context.WithCancel(b.Context())
		var n atomic.Int64
		c := ampybus.Consumer{Pattern: "ampy.dev.bars.v1.>", Group: fmt.Sprint("g", group)}
		err := bus.Consume(ctx, c, func(context.Context, *ampybus.Message) error {
			if n.Add(1) == pathMessages {
				done()
			}
			return nil
		})
		if err != nil || n.Load() != pathMessages {
			b.Fatal(n.Load(), err)
		}
	})
	t := broker.Transport()
	defer func() { _ = t.Close(b.Context()) }()
	ways.PerMessage(b, "transport", pathMessages, func(b *testing.B) {
		group++
		takeAll(b, t, fmt.Sprint("g", group))
	})
}

// takeAll is a group that does nothing but commit.
func takeAll(b *testing.B, t driver.Transport, group string) {
	src, err := t.Open(b.Context(), driver.GroupConfig{Group: group, Pattern: "ampy.dev.bars.v1.>"})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for ev := range src.Events() {
		if ev.Kind != driver.Records {
			continue
		}
		n += len(ev.Records)
		if err := src.Commit(b.Context(), ev.Lane, ev.Epoch, ev.Records[len(ev.Records)-1].Pos+1); err != nil {
			b.Fatal(err)
		}
		if n == pathMessages {
			_ = src.Close(b.Context())
		}
	}
}
