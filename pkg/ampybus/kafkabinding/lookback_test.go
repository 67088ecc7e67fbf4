package kafkabinding

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

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
