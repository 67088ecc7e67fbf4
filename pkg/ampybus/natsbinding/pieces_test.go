package natsbinding

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
)

// A domain has tens of thousands of topics, and each question takes the server's
// time and the publisher's.
func TestTopicsOfADomainInPiecesAreAskedForOnceForEachStream(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	for _, part := range []string{"eq", "fx"} {
		makeStream(t, tr, jetstream.StreamConfig{Name: "ORDERS_" + part, Subjects: []string{"ampy.dev.orders.v1." + part + ".>", "ampy.dev.orders.v1." + part}})
	}
	asked, err := tr.nc.SubscribeSync("$JS.API.STREAM.NAMES")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		for _, part := range []string{"eq", "fx"} {
			r := record(fmt.Sprintf("ampy.dev.orders.v1.%s.S%d", part, i), "x")
			if o := outcomes(t, tr, r)[0]; o.Err != nil || o.Log != "ORDERS_"+part {
				t.Fatalf("%s: %+v", r.Topic, o)
			}
		}
	}
	if err := tr.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, err := asked.Pending(); err != nil || n == 0 || n > 4 {
		t.Errorf("the server was asked %d times for two streams (%v)", n, err)
	}
	if o := outcomes(t, tr, record("ampy.dev.orders.v1.fx", "x"))[0]; o.Err != nil || o.Log != "ORDERS_fx" {
		t.Errorf("a subject without a wildcard: %+v", o)
	}
}

func TestAPieceThatMovedToAnotherStreamIsLookedForAgain(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	keepAStream(t, tr)
	piece := jetstream.StreamConfig{Name: "OLD", Subjects: []string{"ampy.dev.orders.v1.eq.>"}}
	makeStream(t, tr, piece)
	first, second := "ampy.dev.orders.v1.eq.A", "ampy.dev.orders.v1.eq.B"
	if o := outcomes(t, tr, record(first, "x"))[0]; o.Err != nil || o.Log != "OLD" {
		t.Fatalf("%+v", o)
	}
	if err := tr.js.DeleteStream(t.Context(), "OLD"); err != nil {
		t.Fatal(err)
	}
	piece.Name = "NEW"
	makeStream(t, tr, piece)
	for _, topic := range []string{first, second, first} {
		if o := outcomes(t, tr, record(topic, "x"))[0]; o.Err != nil || o.Log != "NEW" {
			t.Errorf("%s: %+v", topic, o)
		}
	}
	if l := tr.logs.lookup(second); l == nil || l.name != "NEW" {
		t.Errorf("known as %+v", l)
	}
}
