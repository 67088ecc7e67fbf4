package kafkabinding

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const lookTopic = "ampy.dev.orders.v1"

func publishOne(t *testing.T, tr *Transport, rec driver.Record) driver.Outcome {
	t.Helper()
	done := make(chan driver.Outcome, 1)
	tr.Publish([]driver.Record{rec}, func(_ int, o driver.Outcome) { done <- o })
	o := <-done
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	return o
}

// TestATransactionsEndDoesNotHideWhatLiesBefore: a peer's transaction leaves a
// mark behind its records, which is no record.
func TestATransactionsEndDoesNotHideWhatLiesBefore(t *testing.T) {
	b := startBroker(t, Config{Partitions: 1})
	rec := driver.Record{Topic: lookTopic + ".new", Key: "k", ID: "first", Value: []byte("1")}
	publishOne(t, b.plain(t), rec)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.srv.Addr()), kgo.TransactionalID("peer"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: lookTopic, Value: []byte("foreign")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if o := publishOne(t, b.plain(t), rec); !o.Duplicate {
		t.Errorf("%+v, want the repeat to be known", o)
	}
}

// A topic that was just made has no leader everywhere at once, and one whose
// broker died has another soon: what asks for positions outlasts both.
func TestMovingLeadersFailNoQuestionForPositions(t *testing.T) {
	for _, moving := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition} {
		t.Run(moving.Message, func(t *testing.T) {
			srv := startEmbedded(t)
			b := newBroker(srv, Config{})
			rec := driver.Record{Topic: lookTopic + ".new", Key: "k", ID: "first", Value: []byte("1")}
			publishOne(t, b.plain(t), rec)
			tr := b.plain(t)
			fail := func() *kfake.FaultHandle {
				return srv.srv.Native().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: moving, Count: 5})
			}
			faults := fail()
			if o := publishOne(t, tr, rec); !o.Duplicate {
				t.Errorf("%+v, want the repeat to be known", o)
			}
			if n := faults.Hits(); n < 5 {
				t.Errorf("looking back met %d faults", n)
			}
			if moving == kerr.UnknownTopicOrPartition {
				return // to whom does not publish, that is a topic that was deleted
			}
			faults = fail()
			if lanes, err := tr.Lanes(t.Context(), "", "ampy.dev.orders.>"); err != nil || len(lanes) == 0 {
				t.Errorf("%d lanes, %v", len(lanes), err)
			}
			if n := faults.Hits(); n < 5 {
				t.Errorf("listing lanes met %d faults", n)
			}
		})
	}
}
