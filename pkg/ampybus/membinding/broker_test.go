package membinding_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

const (
	orders  = "ampy.dev.orders.v1.A"
	fills   = "ampy.dev.fills.v1.A"
	allDev  = "ampy.dev.>"
	timeout = time.Minute
)

func record(topic, id, value string) driver.Record {
	return driver.Record{Topic: topic, Key: "k", ID: id, Value: []byte(value)}
}

// publish publishes one record and returns what became of it.
func publish(t *testing.T, tr driver.Transport, rec driver.Record) driver.Outcome {
	t.Helper()
	settled := make(chan driver.Outcome, 1)
	tr.Publish([]driver.Record{rec}, func(_ int, o driver.Outcome) { settled <- o })
	select {
	case o := <-settled:
		return o
	case <-time.After(timeout):
		t.Fatalf("publish of %s did not settle", rec.ID)
		return driver.Outcome{}
	}
}

// held lists the values of what is held.
func held(t *testing.T, tr driver.Transport) string {
	t.Helper()
	r, err := tr.Read(t.Context(), driver.ReadConfig{Pattern: allDev})
	if err != nil {
		t.Fatal(err)
	}
	var vs []string
	for {
		ds, err := r.Next(t.Context())
		if err != nil {
			return strings.Join(vs, " ")
		}
		for _, d := range ds {
			vs = append(vs, string(d.Value))
		}
	}
}

func client(t *testing.T, b *membinding.Broker) *membinding.Transport {
	tr := b.Transport()
	t.Cleanup(func() { _ = tr.Close(context.Background()) })
	return tr
}

func TestFullLogRefuses(t *testing.T) {
	tr := client(t, membinding.New(membinding.Config{MaxLogBytes: 8}))
	for _, v := range []string{"aaaa", "bbbb"} {
		if o := publish(t, tr, record(orders, v, v)); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if o := publish(t, tr, record(orders, "c", "c")); !errors.Is(o.Err, driver.ErrFull) {
		t.Errorf("a record for a full log settled with %v", o.Err)
	}
	if o := publish(t, tr, record(orders, "aaaa", "aaaa")); !o.Duplicate {
		t.Errorf("a repeat to a full log settled with %+v, want a duplicate", o)
	}
	if o := publish(t, tr, record(fills, "c", "c")); o.Err != nil {
		t.Errorf("another log is refused too: %v", o.Err)
	}
	if got := held(t, tr); got != "aaaa bbbb c" {
		t.Errorf("held: %s", got)
	}
}

func TestFullLogDropsOldest(t *testing.T) {
	tr := client(t, membinding.New(membinding.Config{MaxLogBytes: 8, DropOldest: true}))
	for _, v := range []string{"aaaa", "bbbb", "cc", "dd"} {
		if o := publish(t, tr, record(orders, v, v)); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if got := held(t, tr); got != "bbbb cc dd" {
		t.Errorf("held: %s", got)
	}
	if o := publish(t, tr, record(orders, "large", "123456789")); !errors.Is(o.Err, driver.ErrFull) {
		t.Errorf("a record larger than the log settled with %v", o.Err)
	}
}

func TestDedupeWindowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := client(t, membinding.New(membinding.Config{DedupeWindow: time.Minute}))
		publish(t, tr, record(orders, "a", "first"))
		time.Sleep(59 * time.Second)
		if o := publish(t, tr, record(orders, "a", "inside")); !o.Duplicate {
			t.Errorf("inside the window: %+v, want a duplicate", o)
		}
		time.Sleep(2 * time.Second) // the repeat has not renewed the window
		if o := publish(t, tr, record(orders, "a", "behind")); o.Err != nil || o.Duplicate {
			t.Errorf("behind the window: %+v, want stored", o)
		}
		if got := held(t, tr); got != "first behind" {
			t.Errorf("held: %s", got)
		}
	})
}

func TestStoredTimesDifferWhereTheClockStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := client(t, membinding.New(membinding.Config{}))
		publish(t, tr, record(orders, "a", "a"))
		publish(t, tr, record(fills, "b", "b"))
		publish(t, tr, record(orders, "c", "c"))
		if got := held(t, tr); got != "a b c" {
			t.Errorf("merged by time: %s, want the order of storing", got)
		}
	})
}

func TestTopicWithoutLogIsRefused(t *testing.T) {
	tr := client(t, membinding.New(membinding.Config{}))
	for _, topic := range []string{"", "ampy", "ampy.dev.orders", "ampy.dev.orders.", "ampy..orders.v1"} {
		if o := publish(t, tr, record(topic, "a", "a")); !errors.Is(o.Err, driver.ErrNoLog) {
			t.Errorf("topic %q settled with %v, want %v", topic, o.Err, driver.ErrNoLog)
		}
	}
}

func TestConnectCarriesABus(t *testing.T) {
	broker := membinding.New(membinding.Config{})
	sender, receiver := broker.Connect(ampybus.Options{}), broker.Connect(ampybus.Options{})
	defer func() { _ = errors.Join(sender.Close(), receiver.Close()) }()
	got := make(chan string, 1)
	sub, err := receiver.Subscribe("ampy.dev.bars.v1.>", func(m *ampybus.Message) { got <- string(m.Payload) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Stop() }()
	h := ampybus.NewHeaders("ampy.bars.v1.BarBatch", "test@host", "test", "XNAS.AAPL")
	if err := sender.Publish(t.Context(), "ampy.dev.bars.v1.XNAS.AAPL", h, []byte("payload")); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-got:
		if p != "payload" {
			t.Errorf("received %q", p)
		}
	case <-time.After(timeout):
		t.Fatal("nothing was received")
	}
}
