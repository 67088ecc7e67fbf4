package kafkabinding

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// benchBrokers are those of AMPY_TEST_KAFKA, or a broker started for the run.
func benchBrokers(b *testing.B) []string {
	b.Helper()
	if env := os.Getenv(brokertest.KafkaEnv); strings.Contains(env, ":") {
		return strings.Split(env, ",")
	}
	return brokertest.StartKafka(b, 1).Addrs()
}

const (
	benchKeys  = 256
	benchBytes = 1024
)

func benchEnvelope(i int, payload []byte) ampybus.Envelope {
	name := fmt.Sprintf("B%d", i%benchKeys)
	h := ampybus.NewHeaders("ampy.bars.v1.BarBatch", "bench@host", "bench", "XNAS."+name)
	h.RunID = "bench"
	return ampybus.Envelope{Topic: "ampy.dev.bars.v1.XNAS." + name, Headers: h, Payload: payload}
}

func benchPayload() []byte {
	p := make([]byte, benchBytes)
	for i := range p {
		p[i] = byte(i * 167)
	}
	return p
}

// BenchmarkKafka compares the bus with the client library on the same work, in
// turns on one broker: go test -bench Kafka -benchtime 300000x.
func BenchmarkKafka(b *testing.B) {
	brokers := benchBrokers(b)
	for round := range 2 {
		b.Run(fmt.Sprintf("produce/raw/%d", round), func(b *testing.B) { produceRaw(b, brokers) })
		b.Run(fmt.Sprintf("produce/bus/%d", round), func(b *testing.B) { produceBus(b, brokers) })
	}
	for round := range 2 {
		b.Run(fmt.Sprintf("consume/raw/%d", round), func(b *testing.B) { consumeRaw(b, brokers) })
		b.Run(fmt.Sprintf("consume/bus/%d", round), func(b *testing.B) { consumeBus(b, brokers) })
	}
}

func rate(b *testing.B, began time.Time) {
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "msg/s")
}

func benchConfig(brokers []string) Config {
	return Config{Brokers: brokers, Partitions: 6, Logger: quiet()}
}

func produceRaw(b *testing.B, brokers []string) {
	tr, err := Dial(benchConfig(brokers))
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close(b.Context())
	if err := tr.ensureTopic(b.Context(), "ampy.dev.bars.v1"); err != nil {
		b.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.MaxBufferedRecords(4096), kgo.ProducerLinger(0))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	payload := benchPayload()
	b.ReportAllocs()
	began := time.Now()
	b.ResetTimer()
	for i := range b.N {
		e := benchEnvelope(i, payload)
		e.Headers.Topic = e.Topic
		r := &kgo.Record{Topic: "ampy.dev.bars.v1", Key: []byte(e.Headers.PartitionKey), Value: e.Payload}
		for _, h := range ampybus.EncodeHeaders(e.Headers) {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Name, Value: []byte(h.Value)})
		}
		cl.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := cl.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	rate(b, began)
}

func produceBus(b *testing.B, brokers []string) {
	bus, err := Connect(benchConfig(brokers))
	if err != nil {
		b.Fatal(err)
	}
	defer bus.Close()
	payload := benchPayload()
	if err := bus.Publish(b.Context(), benchEnvelope(0, payload).Topic, benchEnvelope(0, payload).Headers, payload); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	began := time.Now()
	b.ResetTimer()
	var all sync.WaitGroup
	all.Add(b.N)
	for i := range b.N {
		bus.PublishAsync(benchEnvelope(i, payload), func(err error) {
			if err != nil {
				b.Error(err)
			}
			all.Done()
		})
	}
	all.Wait()
	rate(b, began)
}

func consumeRaw(b *testing.B, brokers []string) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumerGroup(fmt.Sprintf("raw-%d", time.Now().UnixNano())),
		kgo.ConsumeTopics("ampy.dev.bars.v1"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	var began time.Time
	b.ReportAllocs()
	b.ResetTimer()
	for n, last := 0, 0; n < b.N; {
		fs := cl.PollFetches(b.Context())
		if began.IsZero() {
			began = time.Now()
		}
		n += fs.NumRecords()
		if n-last >= 10_000 {
			last = n
			if err := cl.CommitUncommittedOffsets(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	rate(b, began)
}

func consumeBus(b *testing.B, brokers []string) {
	bus, err := Connect(benchConfig(brokers))
	if err != nil {
		b.Fatal(err)
	}
	defer bus.Close()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var n atomic.Int64
	var began atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	var at time.Time
	err = bus.Consume(ctx, ampybus.Consumer{
		Pattern: "ampy.dev.bars.v1.>", Group: fmt.Sprintf("bus-%d", time.Now().UnixNano()), Workers: 8,
	}, func(context.Context, *ampybus.Message) error {
		began.CompareAndSwap(0, time.Now().UnixNano())
		if n.Add(1) == int64(b.N) {
			at = time.Now()
			cancel()
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/time.Duration(at.UnixNano()-began.Load()).Seconds(), "msg/s")
}
