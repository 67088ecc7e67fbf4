package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// reads takes the values of the next n records.
func reads(t *testing.T, r driver.Reader, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var vs []string
	for len(vs) < n {
		ds, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("after %v: %v", vs, err)
		}
		for _, d := range ds {
			vs = append(vs, string(d.Value))
		}
	}
	return vs
}

func follow(t *testing.T, tr driver.Transport, pattern string) driver.Reader {
	t.Helper()
	r, err := tr.Read(t.Context(), driver.ReadConfig{Pattern: pattern, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestFollowingGoesOnInAStreamMadeAgain(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	publishNumbers(t, tr, testTopic, 0, 5)
	r := follow(t, tr, "ampy.dev.orders.>")
	reads(t, r, 5)
	if err := tr.js.DeleteStream(t.Context(), "AMPY_DEV_ORDERS"); err != nil {
		t.Fatal(err)
	}
	publishUntilStored(t, tr, "new")
	if vs := reads(t, r, 1); vs[0] != "new" {
		t.Errorf("got %v", vs)
	}
}

func TestWindowEndsThoughItsLastRecordsAreGone(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	big := record(testTopic, "big")
	big.Value = make([]byte, 500<<10)
	for i := range 40 { // more than one pull brings
		big.ID = fmt.Sprint(i)
		if o := outcomes(t, tr, big)[0]; o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	r, err := tr.Read(t.Context(), driver.ReadConfig{Pattern: "ampy.dev.orders.>"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stream, err := tr.js.Stream(t.Context(), "AMPY_DEV_ORDERS")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen, next := 0, uint64(1)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		ds, err := r.Next(ctx)
		cancel()
		var gap *driver.GapError
		switch {
		case errors.As(err, &gap):
			if gap.From != next || gap.To != 41 {
				t.Errorf("gap %+v where %d is due", gap, next)
			}
			next = gap.To
			continue
		case errors.Is(err, io.EOF):
			if next != 41 {
				t.Errorf("the window ended at %d without a word about the rest", next)
			}
			if seen == 40 {
				t.Error("nothing was purged in time: the test shows nothing")
			}
			return
		case err != nil:
			t.Fatal(err)
		}
		seen += len(ds)
		next = ds[len(ds)-1].Pos + 1
	}
}

func TestWindowOfAdoptedStreamHoldsItsTopicsOnly(t *testing.T) {
	tr := foreign(t)
	var want []string
	for i := range 30 {
		topic := "ampy.dev.bars.v1.X"
		if i%3 == 0 {
			topic = testTopic
			want = append(want, fmt.Sprint(i))
		}
		publishNumbers(t, tr, topic, i, 1)
	}
	all := history(t, tr, "ampy.>")
	middle := all[15].StoredAt
	r, err := tr.Read(t.Context(), driver.ReadConfig{Pattern: "ampy.dev.orders.>", Start: all[3].StoredAt, End: middle})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	for {
		ds, err := r.Next(t.Context())
		if err != nil {
			break
		}
		for _, d := range ds {
			got = append(got, string(d.Value))
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want[1:5]) {
		t.Errorf("got %v, want %v", got, want[1:5])
	}
}

func TestReaderGoesOnAfterItsConsumerIsDeleted(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	publishNumbers(t, tr, testTopic, 0, 5)
	r := follow(t, tr, "ampy.dev.orders.>")
	reads(t, r, 5)
	stream, err := tr.js.Stream(t.Context(), "AMPY_DEV_ORDERS")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	list := stream.ConsumerNames(t.Context())
	for name := range list.Name() {
		names = append(names, name)
	}
	for _, name := range names {
		if err := stream.DeleteConsumer(t.Context(), name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Fatal(err)
		}
	}
	publishNumbers(t, tr, testTopic, 5, 5)
	if vs := reads(t, r, 5); fmt.Sprint(vs) != "[5 6 7 8 9]" {
		t.Errorf("got %v", vs)
	}
}
