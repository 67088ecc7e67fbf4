package ampybus

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// nullLog stores nothing and settles at once: what is left is the bus's own cost.
type nullLog struct{ driver.Transport }

func (nullLog) Limits() driver.Limits       { return driver.Limits{} }
func (nullLog) Close(context.Context) error { return nil }
func (nullLog) Publish(recs []driver.Record, settle func(int, driver.Outcome)) {
	for i := range recs {
		settle(i, driver.Outcome{Log: "l", Pos: 1})
	}
}

func BenchmarkPublishAsync(b *testing.B) {
	for _, keys := range []int{1, 256, 10_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			bus := New(nullLog{}, Options{})
			es := make([]Envelope, keys)
			for i := range es {
				es[i] = testEnvelope(fmt.Sprint("key", i), "payload")
			}
			var wg sync.WaitGroup
			done := func(error) { wg.Done() }
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				wg.Add(1)
				bus.PublishAsync(es[i%keys], done)
				i++
			}
			wg.Wait()
		})
	}
}
