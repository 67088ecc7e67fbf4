package natsbinding

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/ways"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func benchRecord() driver.Record {
	return driver.Record{Topic: "t", Headers: benchHeaders("XNAS.S1", 1), Value: make([]byte, 128)}
}

// sendForm fills the message that goes out, as publishing does.
func sendForm(tb testing.TB, r *driver.Record) {
	f := forms.Get().(*form)
	if err := f.fill(r, driver.Header{Name: nats.MsgIdHdr, Value: "id"}); err != nil {
		tb.Fatal(err)
	}
	f.done()
}

// BenchmarkHeaderMap makes the header map of a message to send; the naive way
// is the client library's.
func BenchmarkHeaderMap(b *testing.B) {
	r := benchRecord()
	ways.Run(b, "bus", func() { sendForm(b, &r) })
	ways.Run(b, "naive", func() {
		m := nats.NewMsg(r.Topic)
		for _, h := range r.Headers {
			m.Header.Set(h.Name, h.Value)
		}
		m.Header.Set(nats.MsgIdHdr, "id")
		m.Data = r.Value
	})
}

// BenchmarkPubAck reads the server's acknowledgement of a publish.
func BenchmarkPubAck(b *testing.B) {
	ack := []byte(`{"stream":"AMPY_DEV_BARS","seq":123456789}`)
	ways.Run(b, "bus", func() { _, _ = parsePubAck(ack, "AMPY_DEV_BARS") })
	ways.Run(b, "naive", func() {
		var a pubAck
		_ = json.Unmarshal(ack, &a)
	})
}

// What is sent again and again is reused: a message costs no header map and an
// acknowledgement no memory. One form is used here: under the race detector a
// sync.Pool loses some on purpose.
func TestSendingReusesHeaderMaps(t *testing.T) {
	r := benchRecord()
	id := []driver.Header{{Name: nats.MsgIdHdr, Value: "id"}}
	f := new(form)
	n := testing.AllocsPerRun(1000, func() {
		if err := f.fill(&r, id...); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for the header map of a message, want none", n)
	}
}

func TestAnAcknowledgementIsReadWithoutMemory(t *testing.T) {
	ack := []byte(`{"stream":"AMPY_DEV_BARS","seq":123456789}`)
	n := testing.AllocsPerRun(1000, func() {
		if a, err := parsePubAck(ack, "AMPY_DEV_BARS"); err != nil || a.Seq != 123456789 {
			t.Fatal(a, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for an acknowledgement, want none", n)
	}
}
