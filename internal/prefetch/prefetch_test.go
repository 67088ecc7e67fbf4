package prefetch_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/AmpyFin/ampy-bus/internal/prefetch"
)

// To ask for memory changes nothing, whatever it is and wherever it begins.
func TestAskingChangesNothing(t *testing.T) {
	b := bytes.Repeat([]byte("0123456789"), 100)
	want := bytes.Clone(b)
	for from := range b {
		prefetch.Bytes(b[from:])
		prefetch.Bytes(b[:from])
		prefetch.Value(&b[from])
	}
	prefetch.Bytes(nil)
	prefetch.Value(new(struct{}))
	if !bytes.Equal(b, want) {
		t.Error("the bytes are not what they were")
	}
	runtime.KeepAlive(b)
}

// BenchmarkChase adds up what lies apart in memory that no cache holds, with and
// without asking for what comes four steps later.
func BenchmarkChase(b *testing.B) {
	const apart = 1000 // eight bytes each
	all := make([]uint64, 200_000*apart)
	far := func(i uint64) *uint64 { return &all[i%200_000*apart] }
	for _, ahead := range []bool{false, true} {
		b.Run(map[bool]string{false: "wait", true: "ask"}[ahead], func(b *testing.B) {
			var sum, at uint64
			for range b.N {
				if ahead {
					prefetch.Value(far(at + 4*7919))
				}
				at += 7919 + *far(at) // the next depends on this one
				sum += at
			}
			if sum == 1 {
				b.Log(sum)
			}
		})
	}
}
