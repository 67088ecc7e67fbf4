package kafkabinding

import (
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// An owner that is cut off gives its lanes up by its own clock, before others
// may have them. The client's own requests take longer than that to fail.
func TestACutOwnerIsToldWithinItsLease(t *testing.T) {
	b := startBroker(t, Config{})
	tr := b.Connect(t)
	t.Cleanup(func() { b.Crash(t, tr) })
	if o := attempt(tr, numbered("k", 0, 1))[0]; o.Err != nil {
		t.Fatal(o.Err)
	}
	src, err := tr.Open(t.Context(), driver.GroupConfig{Group: "g", Pattern: "ampy.dev.>", Lease: testLease})
	if err != nil {
		t.Fatal(err)
	}
	for ev := range src.Events() {
		if ev.Kind == driver.Records {
			break
		}
	}
	b.Cut(t, tr)
	began := time.Now()
	for ev := range src.Events() {
		if ev.Kind == driver.Lost {
			break
		}
	}
	// A lease, and what a loaded machine takes.
	if took := time.Since(began); took > requestOverhead-testLease {
		t.Errorf("the owner was told after %v, its lease is %v", took, testLease)
	}
}
