package natsbinding

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const testTopic = "ampy.dev.orders.v1.A"

// outcomes publishes recs and waits for all outcomes.
func outcomes(t testing.TB, tr driver.Transport, recs ...driver.Record) []driver.Outcome {
	t.Helper()
	out := make([]driver.Outcome, 0, len(recs))
	done := make(chan struct{})
	tr.Publish(recs, func(_ int, o driver.Outcome) {
		out = append(out, o)
		if len(out) == len(recs) {
			close(done)
		}
	})
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("a publish did not settle in 30 s")
	}
	return out
}

func record(topic, id string) driver.Record {
	return driver.Record{Topic: topic, Key: "k", ID: id, Headers: []driver.Header{{Name: "message_id", Value: id}}, Value: []byte(id)}
}

func publishOne(t testing.TB, tr driver.Transport, id string) driver.Outcome {
	t.Helper()
	o := outcomes(t, tr, record(testTopic, id))[0]
	if o.Err != nil {
		t.Fatalf("publish %s: %v", id, o.Err)
	}
	return o
}

func publishUntilStored(t testing.TB, tr driver.Transport, id string) {
	t.Helper()
	untilStored(t, tr, record(testTopic, id))
}

// untilStored repeats what may be repeated, as the bus does.
func untilStored(t testing.TB, tr driver.Transport, rec driver.Record) {
	t.Helper()
	asTheBus(t, "publish "+rec.ID, func() error { return outcomes(t, tr, rec)[0].Err })
}

// openUntilLed joins a group: new streams of a cluster, that of the leases too,
// have no leader at first, and the bus tries on.
func openUntilLed(t testing.TB, tr driver.Transport, c driver.GroupConfig) (src driver.Source) {
	t.Helper()
	asTheBus(t, "open group "+c.Group, func() (err error) {
		src, err = tr.Open(t.Context(), c)
		return err
	})
	return src
}

// asTheBus does something until it succeeds, as long as the bus would try on.
func asTheBus(t testing.TB, what string, do func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		err := do()
		if err == nil {
			return
		}
		if !errors.Is(err, driver.ErrUncertain) && !errors.Is(err, driver.ErrUnavailable) {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: still %v", what, err)
		}
	}
}

// history reads everything on pattern, once the server can be reached.
func history(t testing.TB, tr driver.Transport, pattern string) []driver.Delivery {
	t.Helper()
	var r driver.Reader
	var err error
	for began := time.Now(); time.Since(began) < 30*time.Second; pause(t.Context(), 20*time.Millisecond) {
		if r, err = tr.Read(t.Context(), driver.ReadConfig{Pattern: pattern}); !errors.Is(err, driver.ErrUnavailable) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []driver.Delivery
	for {
		ds, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("after %d records: %v", len(all), err)
		}
		all = append(all, ds...)
	}
}
