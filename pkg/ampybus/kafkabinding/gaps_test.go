package kafkabinding

import (
	"fmt"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// I13: retention passes a group ten times, behind its commit and under its
// feet; each time the group learns exactly which positions are gone.
func TestGapsAreExact(t *testing.T) {
	const rounds, each = 10, 250
	b := startBroker(t, Config{})
	tr := b.Connect(t)
	defer tr.Close(t.Context())
	for i := range 2 * (rounds + 1) {
		for _, o := range attempt(tr, numbered("k", i*each, each)) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
	log := "ampy.dev.orders.v1:0"
	next, gaps := uint64(0), 0
	for round := range rounds + 1 { // before the first nothing is gone
		src, err := tr.Open(t.Context(), driver.GroupConfig{Group: "g", Pattern: "ampy.dev.>", MaxSpan: 20, Lease: testLease})
		if err != nil {
			t.Fatal(err)
		}
		var begin uint64
		for taken := 0; taken < 20; {
			ev := <-src.Events()
			switch ev.Kind {
			case driver.Gap:
				if ev.From != next || ev.To != begin {
					t.Errorf("round %d: gap [%d, %d), want [%d, %d)", round, ev.From, ev.To, next, begin)
				}
				gaps++
				next = ev.To
			case driver.Assigned:
				begin = uint64(round) * each
				if ev.From != next {
					t.Errorf("round %d begins at %d, want %d", round, ev.From, next)
				}
			case driver.Records:
				for _, d := range ev.Records {
					if d.Pos != next || string(d.Value) != fmt.Sprintf("k-%d", next) {
						t.Fatalf("round %d: %s at %d where %d was due", round, d.Value, d.Pos, next)
					}
					next++
				}
				taken += len(ev.Records)
				if err := src.Commit(t.Context(), ev.Lane, ev.Epoch, next); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := src.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Truncate(t, log, uint64(round+1)*each)
	}
	if gaps != rounds {
		t.Errorf("%d gaps, want %d", gaps, rounds)
	}
	underFoot(t, b, next)
}

// underFoot truncates the log below a feed that is on its way.
func underFoot(t *testing.T, b *broker, next uint64) {
	t.Helper()
	fd, _ := openFeed(t, b)
	fd.start(place{"ampy.dev.orders.v1", 0}, next)
	fs := fd.poll(t.Context(), func() bool { return true })
	for _, f := range fs.Errors() {
		if isOutOfRange(f.Err) {
			return
		}
	}
	t.Errorf("a feed that begins where nothing is held any more brought %d records, and no error", fs.NumRecords())
}
