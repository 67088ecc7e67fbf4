package inbox_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkEffects measures effects per second of handlers running at once, as
// the workers of Consume do: one row of effect each, durable when it returns.
func BenchmarkEffects(b *testing.B) {
	for _, db := range []struct {
		name string
		on   func(testing.TB) *world
	}{{"sqlite", onSQLite}, {"postgres", onPostgres}} {
		for _, workers := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/workers=%d", db.name, workers), func(b *testing.B) {
				w := db.on(b)
				var left atomic.Int64
				left.Store(int64(b.N))
				var all sync.WaitGroup
				b.ResetTimer()
				for i := range workers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if err := apply(w.in, message(fmt.Sprint(i), "1")); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "effects/s")
			})
		}
	}
}

// BenchmarkDuplicates measures what a replay of known messages costs.
func BenchmarkDuplicates(b *testing.B) {
	w := onSQLite(b)
	m := message("A", "1")
	w.must(apply(w.in, m))
	for b.Loop() {
		w.must(apply(w.in, m))
	}
}
