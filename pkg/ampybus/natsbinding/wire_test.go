package natsbinding

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func TestAcknowledgementsAreReadAsJSONWould(t *testing.T) {
	for text, want := range map[string]pubAck{
		`{"stream":"AMPY_PROD_ORDERS","seq":17}`:                          {Stream: "AMPY_PROD_ORDERS", Seq: 17},
		`{"stream":"S","seq":18446744073709551615}`:                       {Stream: "S", Seq: 1<<64 - 1},
		`{"stream":"S","seq":2,"duplicate": true}`:                        {Stream: "S", Seq: 2, Duplicate: true},
		`{"stream":"S","seq":2,"duplicate":true}`:                         {Stream: "S", Seq: 2, Duplicate: true},
		`{"stream":"S", "domain":"hub","seq":2}`:                          {Stream: "S", Seq: 2},
		`{"stream":"S","seq":9,"batch":"x","count":3}`:                    {Stream: "S", Seq: 9, Count: 3},
		`{"error":{"code":503,"err_code":10077,"description":"maximum"}}`: {Error: &apiError{503, 10077, "maximum"}},
	} {
		got, err := parsePubAck([]byte(text), "AMPY_PROD_ORDERS")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{``, `{}`, `{"stream":"S"}`, `{"stream":"S","seq":0}`, `{"stream":"","seq":1}`, `{"stream":"S","seq":1`, `{"stream":"S","seq":184467440737095516150}`, `+OK`} {
		if a, err := parsePubAck([]byte(text), ""); err == nil {
			t.Errorf("%q was read as %+v", text, a)
		}
	}
}

func FuzzParsePubAck(f *testing.F) {
	f.Add([]byte(`{"stream":"S","seq":2,"duplicate": true}`))
	f.Add([]byte(`{"stream":"S\u0041","seq":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := parseShortAck(b, "S")
		if !ok {
			return
		}
		var want pubAck
		if err := json.Unmarshal(b, &want); err != nil {
			return // looser than JSON is allowed: invalid UTF-8 in a stream name
		}
		if got.Seq != want.Seq || got.Duplicate != want.Duplicate {
			t.Fatalf("%q: by hand %+v, by JSON %+v", b, got, want)
		}
	})
}

func TestReceiptsOfBothFormsAreRead(t *testing.T) {
	want := receipt{prefix: "$JS.ACK.AMPY.g", times: 2, pos: 70, seq: 9, stored: 1722, pending: 5}
	got, err := parseReceipt("$JS.ACK.AMPY.g.2.70.9.1722.5")
	if err != nil || got != want {
		t.Errorf("short form: %+v, %v", got, err)
	}
	want.prefix = "$JS.ACK.hub.acc.AMPY.g"
	for _, reply := range []string{"$JS.ACK.hub.acc.AMPY.g.2.70.9.1722.5", "$JS.ACK.hub.acc.AMPY.g.2.70.9.1722.5.rnd"} {
		if got, err := parseReceipt(reply); err != nil || got != want {
			t.Errorf("%s: %+v, %v", reply, got, err)
		}
	}
	for _, reply := range []string{"", "_INBOX.x", "$JS.ACK.AMPY.g.2.70.9.1722", "$JS.ACK.AMPY.g.2.x.9.1722.5", "$JS.ACK.AMPY.g.2..9.1722.5", "$JS.ACK.........", "$JS.ACK.AMPY.g.1.2.3.4.111111111111111111111"} {
		if r, err := parseReceipt(reply); err == nil {
			t.Errorf("%q was read as %+v", reply, r)
		}
	}
}

func FuzzParseReceipt(f *testing.F) {
	f.Add("$JS.ACK.AMPY.g.2.70.9.1722.5")
	f.Add("$JS.ACK.hub.acc.AMPY.g.2.70.9.1722.5.x")
	f.Fuzz(func(_ *testing.T, s string) { _, _ = parseReceipt(s) })
}

// matches is the plain meaning of a pattern.
func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, t := range p {
		if t == ">" {
			return len(s) > i
		}
		if i >= len(s) || t != "*" && t != s[i] {
			return false
		}
	}
	return len(p) == len(s)
}

func TestIntersectionSelectsWhatBothSelect(t *testing.T) {
	var subjects []string
	for n, level := 0, []string{"a", "b"}; n < 4; n++ {
		subjects = append(subjects, level...)
		var next []string
		for _, s := range level {
			next = append(next, s+".a", s+".b")
		}
		level = next
	}
	pattern := rapid.Custom(func(t *rapid.T) string {
		tokens := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*"}), 0, 3).Draw(t, "tokens")
		if len(tokens) == 0 || rapid.Bool().Draw(t, "rest") {
			tokens = append(tokens, ">")
		}
		return strings.Join(tokens, ".")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := pattern.Draw(t, "a"), pattern.Draw(t, "b")
		both, ok := intersect(a, b)
		for _, s := range subjects {
			if want, got := matches(a, s) && matches(b, s), ok && matches(both, s); got != want {
				t.Fatalf("intersect(%s, %s) = %q, %v: selects %s: %v, want %v", a, b, both, ok, s, got, want)
			}
		}
		if covers(a, b) {
			for _, s := range subjects {
				if matches(b, s) && !matches(a, s) {
					t.Fatalf("%s does not cover %s: %s", a, b, s)
				}
			}
		}
	})
}

func TestFiltersHoldNoSubjectTwice(t *testing.T) {
	got := filters([]string{"ampy.prod.orders.>", "ampy.*.orders.v1.>", "other.>", "ampy.prod.fills.>"}, "ampy.prod.>")
	if want := []string{"ampy.prod.orders.>", "ampy.prod.fills.>"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A form that was used for other records must carry nothing of them.
func TestReusedFormsCarryTheLastRecordOnly(t *testing.T) {
	name := rapid.SampledFrom([]string{"message_id", "topic", "x-a", "x-b", "x-c"})
	header := rapid.Custom(func(t *rapid.T) driver.Header {
		return driver.Header{Name: name.Draw(t, "name"), Value: rapid.StringMatching(`[a-z]{0,4}`).Draw(t, "value")}
	})
	rapid.Check(t, func(t *rapid.T) {
		f := new(form)
		for range rapid.IntRange(1, 6).Draw(t, "records") {
			r := driver.Record{Topic: "t", Headers: rapid.SliceOfN(header, 0, 5).Draw(t, "headers"), Value: []byte("v")}
			extra := []driver.Header{{Name: nats.MsgIdHdr, Value: "id"}}[:rapid.IntRange(0, 1).Draw(t, "extra")]
			if err := f.fill(&r, extra...); err != nil {
				t.Fatal(err)
			}
			want := nats.Header{}
			for _, h := range slices.Concat(r.Headers, extra) {
				want[h.Name] = append(want[h.Name], h.Value)
			}
			if len(want)+len(f.msg.Header) > 0 && !reflect.DeepEqual(want, f.msg.Header) {
				t.Fatalf("got %v, want %v", f.msg.Header, want)
			}
		}
	})
}

func TestHeadersThatNATSWouldChangeOrObeyAreRefused(t *testing.T) {
	for _, h := range []driver.Header{
		{Name: "", Value: "x"},
		{Name: "a b", Value: "x"},
		{Name: "a:b", Value: "x"},
		{Name: "ä", Value: "x"},
		{Name: "Nats-Rollup", Value: "all"},
		{Name: "nats-ttl", Value: "1s"},
		{Name: "NATS-Expected-Stream", Value: "S"},
		{Name: "a", Value: " x"},
		{Name: "a", Value: "x\t"},
		{Name: "a", Value: "x\r\nb: y"},
		{Name: "a", Value: strings.Repeat("x", maxHeaderBytes)},
	} {
		f := new(form)
		if err := f.fill(&driver.Record{Topic: "t", Headers: []driver.Header{h}}); err == nil {
			t.Errorf("header %q with %d bytes passed", h.Name, len(h.Value))
		}
		// A refused record leaves a form that works.
		if err := f.fill(&driver.Record{Topic: "t", Headers: []driver.Header{{Name: "ok", Value: "x"}}}); err != nil || f.msg.Header.Get("ok") != "x" {
			t.Errorf("after %q: %v, %v", h.Name, f.msg.Header, err)
		}
	}
}

func TestServerHeadersAreNotDelivered(t *testing.T) {
	var u unpacker
	h := nats.Header{"b": {"1", "2"}, "a": {"0"}, "Nats-Msg-Id": {"id"}, "Nats-Batch-Id": {"x"}}
	for range 2 { // with and without the names remembered
		hs, id := u.headers(h)
		if want := "[{a 0} {b 1} {b 2}]"; fmt.Sprint(hs) != want || id != "id" {
			t.Errorf("got %v, id %q", hs, id)
		}
	}
	if hs, _ := u.headers(nats.Header{"c": {"3"}, "d": nil, "a": {"0"}, "b": {""}}); fmt.Sprint(hs) != "[{a 0} {b } {c 3}]" {
		t.Errorf("got %v", hs)
	}
}

func TestLeaseKeysAreLegalAndDistinct(t *testing.T) {
	seen := map[string]string{}
	for _, stream := range []string{"AMPY_PROD_ORDERS", "a@b", "a=40b", "a b", "ä"} {
		key := leaseKey("g", stream)
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q share key %s", stream, other, key)
		}
		seen[key] = stream
		for _, c := range key {
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=.", c) {
				t.Errorf("key %s holds %q", key, c)
			}
		}
	}
}
