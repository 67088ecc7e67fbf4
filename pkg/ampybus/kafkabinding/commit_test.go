package kafkabinding

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Lanes that are committed together are one request; where the coordinator
// refuses it for the moment each goes on by itself.
func TestLanesAreCommittedInOneRequest(t *testing.T) {
	srv := startEmbedded(t)
	tr := newBroker(srv, Config{Partitions: 2}).Connect(t)
	defer tr.Close(t.Context())
	_, keys := twoPlaces(t, tr)
	src, err := tr.Open(t.Context(), driver.GroupConfig{Group: "g", Pattern: "ampy.dev.>", Lease: testLease})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close(t.Context())
	next := func() (points []driver.Point) { // behind one record of each lane
		for len(points) < 2 {
			if ev := <-src.Events(); ev.Kind == driver.Records {
				points = append(points, driver.Point{Lane: ev.Lane, Epoch: ev.Epoch, Low: ev.Records[0].Pos + 1})
			}
		}
		return points
	}
	points := next()
	var requests atomic.Int64
	srv.srv.Native().ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		requests.Add(1)
		return nil, nil, false
	})
	commit := func(want int64) {
		t.Helper()
		requests.Store(0)
		errs := src.(driver.BatchCommitter).CommitAll(t.Context(), points)
		if slices.ContainsFunc(errs, func(err error) bool { return err != nil }) || requests.Load() != want {
			t.Fatalf("committed with %v in %d requests, want %d", errs, requests.Load(), want)
		}
	}
	commit(1)
	commit(0) // is committed
	for _, key := range keys {
		attempt(tr, numbered(key, 1, 1))
	}
	points = next()
	refused := srv.srv.Native().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.RebalanceInProgress, Count: 1})
	commit(3) // the one for both, then each
	if refused.Hits() != 1 {
		t.Errorf("refused %d times", refused.Hits())
	}
}
