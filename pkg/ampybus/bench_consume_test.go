package ampybus

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// fullLog hands out what it holds, as fast as it is taken.
type fullLog struct {
	driver.Transport
	events chan driver.Event
}

func (l *fullLog) Open(context.Context, driver.GroupConfig) (driver.Source, error) { return l, nil }

func (l *fullLog) Events() <-chan driver.Event                          { return l.events }
func (l *fullLog) Commit(context.Context, string, uint64, uint64) error { return nil }
func (l *fullLog) Mark(context.Context, string, uint64, uint64) error   { return nil }
func (l *fullLog) Pause(string, bool)                                   {}
func (l *fullLog) Close(context.Context) error                          { return nil }
func (l *fullLog) Err() error                                           { return nil }
func (l *fullLog) Limits() driver.Limits                                { return driver.Limits{} }

// fillLog makes n records of 1 KiB and 256 keys, and a log with a lane for each
// key's sixth.
func fillLog(n int) *fullLog {
	const lanes, batch = 6, 256
	var logs [lanes][]driver.Delivery
	payload := strings.Repeat("p", 1024)
	for i := range n {
		e := testEnvelope(fmt.Sprint("key", i%256), payload)
		e.Headers.Topic = e.Topic
		at := i % 256 % lanes
		logs[at] = append(logs[at], driver.Delivery{
			Record: driver.Record{Topic: e.Topic, Key: e.Headers.PartitionKey, ID: e.Headers.MessageID, Headers: EncodeHeaders(e.Headers), Value: e.Payload},
			Log:    fmt.Sprint("log", at), Pos: uint64(len(logs[at])), StoredAt: time.Now(),
		})
	}
	l := &fullLog{events: make(chan driver.Event, n/batch+2*lanes)}
	for at := range logs {
		l.events <- driver.Event{Kind: driver.Assigned, Lane: fmt.Sprint("log", at), Epoch: 1}
	}
	for left := n; left > 0; {
		for at := range logs {
			k := min(batch, len(logs[at]))
			if k > 0 {
				l.events <- driver.Event{Kind: driver.Records, Lane: fmt.Sprint("log", at), Epoch: 1, Records: logs[at][:k:k]}
			}
			logs[at] = logs[at][k:]
			left -= k
		}
	}
	return l
}

// BenchmarkConsume is what the bus costs between a driver and a handler:
// go test -bench Consume -benchtime 200000x.
func BenchmarkConsume(b *testing.B) {
	for name, d := range map[string]DedupeStore{"dedupe=memory": nil, "dedupe=none": NoDedupe{}} {
		b.Run(name, func(b *testing.B) {
			l := fillLog(b.N)
			ctx, cancel := context.WithCancel(b.Context())
			var n atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			err := New(l, Options{}).Consume(ctx, Consumer{Pattern: "ampy.dev.news.v1.raw", Group: "g", Dedupe: d}, func(context.Context, *Message) error {
				if n.Add(1) == int64(b.N) {
					b.StopTimer()
					cancel()
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
