package ampybus

import (
	"slices"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func TestWireFormIsFixed(t *testing.T) {
	h, _, err := DecodeHeaders(wire())
	if err != nil {
		t.Fatal(err)
	}
	if got := EncodeHeaders(h); !slices.Equal(got, wire()) {
		t.Errorf("written as\n%v\nwant\n%v", got, wire())
	}
}

func TestTableAndNamesAgree(t *testing.T) {
	for i, spec := range HeaderSpecs() {
		if fieldOf(spec.Name) != field(i) || spec.Name == "" || spec.Kind == "" || spec.Doc == "" || spec.MaxBytes == 0 {
			t.Errorf("row %d, %q, is found at %d or lacks something", i, spec.Name, fieldOf(spec.Name))
		}
	}
	for _, name := range []string{"", "Message_id", "MESSAGE_ID", "dlq_", "message_id "} {
		if f := fieldOf(name); f != fUnknown {
			t.Errorf("%q is found at %d", name, f)
		}
	}
}

func TestNewHeadersFillsWhatEveryMessageHas(t *testing.T) {
	before := time.Now()
	h := NewHeaders("ampy.bars.v1.BarBatch", "test-producer", "test-source", "XNAS.AAPL")
	e := Envelope{Topic: "ampy.prod.bars.v1.XNAS.AAPL", Headers: h}
	if err := e.Validate(); err != nil {
		t.Error(err)
	}
	if h.ProducedAt.Before(before.Round(0)) || h.ProducedAt.Location() != time.UTC || h.Trace.IsZero() || h.SchemaVersion != "1.0.0" {
		t.Errorf("%+v", h)
	}
}

func TestTimesAreWrittenInUTC(t *testing.T) {
	h := NewHeaders("ampy.bars.v1.BarBatch", "p", "s", "k")
	h.ProducedAt = time.Date(2025, 9, 5, 21, 31, 1, 500, time.FixedZone("CEST", 7200))
	if got := value(EncodeHeaders(h), HeaderProducedAt); got != "2025-09-05T19:31:01.0000005Z" {
		t.Errorf("written as %s", got)
	}
}

func value(hs []driver.Header, name string) string {
	for _, h := range hs {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func TestTypesAreWrittenByTheirRealNames(t *testing.T) {
	for alias, real := range map[string]string{
		"ampy.fills.v1.Fill": "ampy.fills.v1.FillEvent", "ampy.positions.v1.Position": "ampy.positions.v1.PositionSnapshot",
		"ampy.bars.v1.Bar": "ampy.bars.v1.Bar",
	} {
		if got := value(EncodeHeaders(Headers{SchemaFQDN: alias}), HeaderSchemaFQDN); got != real {
			t.Errorf("%s is written as %s", alias, got)
		}
	}
}

func TestTraceOnTheWireAlwaysHasIDs(t *testing.T) {
	full := NewTrace()
	for _, tc := range []TraceContext{{}, {TraceID: full.TraceID, Flags: 1}, full} {
		hs := EncodeHeaders(Headers{Trace: tc})
		got, err := ParseTraceparent(value(hs, HeaderTraceparent))
		if err != nil || got.TraceIDString() != value(hs, HeaderTraceID) || got.SpanIDString() != value(hs, HeaderSpanID) {
			t.Errorf("%v is written as %v, %v", tc, hs, err)
		}
		if !tc.IsZero() && got.TraceID != tc.TraceID || tc == full && got != full {
			t.Errorf("%v is written as %v", tc, got)
		}
	}
}

func TestEncodeAllocatesTwice(t *testing.T) {
	h := bars().Headers
	h.RetryCount, h.BlobSize, h.DLQ = 1234, 56789, DLQInfo{Reason: "x", Attempts: 500, At: time.Now()}
	if n := testing.AllocsPerRun(100, func() { _ = EncodeHeaders(h) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func TestPercentEncodingMakesAnyTextFit(t *testing.T) {
	for s, want := range map[string]string{
		"plain text": "plain text", "": "", "Börse": "B%C3%B6rse", "a\r\nb": "a%0D%0Ab", " a ": "%20a%20",
		"100%": "100%25", "%41": "%2541", "\xff": "%FF",
	} {
		got := PercentEncode(s)
		fault, ascii := valueFault(got)
		if got != want || fault != "" || !ascii || PercentDecode(got) != s {
			t.Errorf("%q is encoded as %q, back %q", s, got, PercentDecode(got))
		}
	}
	for _, s := range []string{"%", "%4", "%zz", "50% off"} {
		if PercentDecode(s) != s {
			t.Errorf("%q is decoded as %q", s, PercentDecode(s))
		}
	}
}

func TestPrintableIsDecidedForEveryByteAtEveryPlace(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			v := []byte("abcdefghijklmnopqrst")
			v[at] = byte(c)
			if want := c >= ' ' && c <= '~'; isPrintable(string(v)) != want {
				t.Fatalf("byte %#x at %d", c, at)
			}
		}
	}
}
