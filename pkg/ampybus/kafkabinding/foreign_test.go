package kafkabinding

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/kafkaserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// foreign are records as no peer of the bus writes them.
func foreign() []*kgo.Record {
	return []*kgo.Record{
		{Value: []byte("no headers, no key")},
		{Key: []byte("k")}, // a tombstone
		{},
		{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{}, {Key: "topic", Value: []byte{0xff, 0xfe}}}},
		{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "topic", Value: []byte("ampy.prod.orders.v1.requests")}}},
	}
}

// TestForeignRecordsBecomeDeadLettersOfTheirOwnDomain: nothing that lies in a
// Kafka topic of the bus is passed over in silence by a group of the whole of it.
func TestForeignRecordsBecomeDeadLettersOfTheirOwnDomain(t *testing.T) {
	srv, err := kafkaserver.Start(kafkaserver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	seen := &latencies{}
	bus, err := Connect(Config{
		Brokers: srv.Addrs(), Logger: quiet(), Partitions: 1, Bus: ampybus.Options{Observer: seen},
		minAge: 10 * time.Millisecond, discover: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience())
	defer cancel()
	headers := ampybus.NewHeaders("ampy.bars.v1.BarBatch", "feed@1", "feed", "XNAS.AAPL")
	if err := bus.Publish(ctx, "ampy.dev.bars.v1.XNAS.AAPL", headers, nil); err != nil {
		t.Fatal(err)
	}
	writeForeign(t, srv.Addrs(), "ampy.dev.bars.v1")

	consuming, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- bus.Consume(consuming, ampybus.Consumer{Pattern: "ampy.dev.bars.v1.>", Group: "g"},
			func(context.Context, *ampybus.Message) error { return nil })
	}()
	n := 0
	for d, err := range bus.DeadLetters(ctx, ampybus.Range{Pattern: "ampy.dev.dlq.v1.bars", Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; d.Target != "ampy.dev.bars.v1" || d.Headers.DLQ.Group != "g" {
			t.Errorf("dead letter %d is of %s, group %s", n, d.Target, d.Headers.DLQ.Group)
		}
		if n == len(foreign()) {
			break
		}
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if seen.dead == 0 || seen.worst > testPatience() {
		t.Errorf("of %d dead letters without produced_at the worst latency is %v", seen.dead, seen.worst)
	}
	if n < len(foreign()) {
		t.Errorf("%d dead letters of %d foreign records", n, len(foreign()))
	}
}

// latencies notes the worst latency of what became a dead letter.
type latencies struct {
	mu    sync.Mutex
	dead  int
	worst time.Duration
}

func (*latencies) Published(ampybus.PublishEvent) {}
func (*latencies) Noticed(ampybus.Notice)         {}

func (l *latencies) Consumed(e ampybus.ConsumeEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Result == ampybus.ResultDead {
		l.dead++
		l.worst = max(l.worst, e.Latency)
	}
}

func writeForeign(t *testing.T, addrs []string, topic string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), foreign()...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
