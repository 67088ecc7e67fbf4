// Package ways is for benchmarks that do one thing in several ways: the bus's
// own, and the one that comes to mind first. benchstat -col /way puts them side
// by side. It is no framework: a benchmark of one way needs none of it.
//
//	ways.Run(b, "bus", func() { ampybus.NewID() })
//	ways.Run(b, "naive", func() { _ = uuid.Must(uuid.NewV7()).String() })
package ways

import (
	"runtime"
	"syscall"
	"testing"
	"time"
)

// Run is a sub-benchmark of one way. Beside time and memory it reports CPU time,
// which says more on a machine that others use.
func Run(b *testing.B, name string, do func()) {
	b.Run("way="+name, func(b *testing.B) {
		b.ReportAllocs()
		used := cpuTime()
		for b.Loop() {
			do()
		}
		b.ReportMetric(float64(cpuTime()-used)/float64(b.N), "cpu-ns/op")
	})
}

// PerMessage is Run for a way that handles so many messages at once: it reports
// what one of them takes.
func PerMessage(b *testing.B, name string, messages int, do func(b *testing.B)) {
	b.Run("way="+name, func(b *testing.B) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		used := cpuTime()
		for b.Loop() {
			do(b)
		}
		used = cpuTime() - used
		runtime.ReadMemStats(&after)
		n := float64(b.N) * float64(messages)
		b.ReportMetric(float64(b.Elapsed())/n, "ns/msg")
		b.ReportMetric(float64(used)/n, "cpu-ns/msg")
		b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/msg")
		b.ReportMetric(0, "ns/op") // left out
	})
}

// cpuTime is what this process has used, in user and system mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
