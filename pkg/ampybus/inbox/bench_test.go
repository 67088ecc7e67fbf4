package inbox_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox/internal/durable"
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

// BenchmarkFileMarks measures messages per second through the file: a start
// and a mark each, on disk.
func BenchmarkFileMarks(b *testing.B) {
	for _, workers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			f, err := inbox.OpenFile(filepath.Join(b.TempDir(), "inbox"), inbox.FileConfig{})
			must(b, err)
			defer f.Close()
			var left atomic.Int64
			left.Store(int64(b.N))
			var all sync.WaitGroup
			b.ResetTimer()
			for i := range workers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						m := message(fmt.Sprint(i), "1")
						if _, err := f.Seen(b.Context(), m); err != nil {
							b.Error(err)
						}
						if err := f.Mark(b.Context(), m); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// BenchmarkFileMemory measures what an identity costs in memory.
func BenchmarkFileMemory(b *testing.B) {
	const identities = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		f, err := inbox.OpenFileOn(nowhere{}, filePath, inbox.FileConfig{})
		must(b, err)
		for range identities {
			must(b, f.Mark(b.Context(), message("A", "1")))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/identities, "B/identity")
		must(b, f.Close())
	}
}

// nowhere is a disk that forgets.
type nowhere struct{}

func (nowhere) ReadFile(string) ([]byte, error)     { return nil, fs.ErrNotExist }
func (nowhere) Create(string) (durable.File, error) { return nowhere{}, nil }
func (nowhere) Append(string) (durable.File, error) { return nowhere{}, nil }
func (nowhere) Rename(string, string) error         { return nil }
func (nowhere) Remove(string) error                 { return nil }
func (nowhere) SyncDir(string) error                { return nil }
func (nowhere) Write(p []byte) (int, error)         { return len(p), nil }
func (nowhere) Truncate(int64) error                { return nil }
func (nowhere) Sync() error                         { return nil }
func (nowhere) Close() error                        { return nil }
