package kafkabinding

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// alikeRecords have mostly the same headers, as those of a log do.
func alikeRecords(t *rapid.T) []*kgo.Record {
	headers := []kgo.RecordHeader{
		{Key: headerMessageID, Value: []byte("01991b1e-0000-7000-8000-000000000001")},
		{Key: headerTopic, Value: []byte("ampy.dev.orders.v1.X")},
		{Key: "a", Value: []byte("1")},
		{Key: "b", Value: nil},
		{Key: headerPartitionKey, Value: []byte("k")},
		{Key: "c", Value: []byte("same")},
	}
	names := []string{"a", "b", "x", ownTopic, ownID, headerTopic}
	values := [][]byte{nil, {}, []byte("1"), []byte("2"), []byte("22"), bytes.Repeat([]byte("v"), 63), bytes.Repeat([]byte("v"), 64), bytes.Repeat([]byte("w"), 300)}
	rs := make([]*kgo.Record, 0, 20)
	for i := range rapid.IntRange(2, 20).Draw(t, "records") {
		hs := slices.Clone(headers)
		if rapid.IntRange(0, 2).Draw(t, "own id") > 0 {
			hs[0].Value = fmt.Appendf(nil, "01991b1e-0000-7000-8000-%012d", i)
		}
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			at := rapid.IntRange(0, len(hs)-1).Draw(t, "at")
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				hs[at].Key = rapid.SampledFrom(names).Draw(t, "name")
			case 1:
				hs = append(hs[:at], hs[at+1:]...)
			case 2:
				hs = append(hs, hs[at])
			default:
				hs[at].Value = rapid.SampledFrom(values).Draw(t, "value")
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "stays") == 0 {
			headers = hs
		}
		rs = append(rs, &kgo.Record{Topic: "ampy.dev.orders.v1", Key: []byte("k"), Value: []byte("v"), Headers: hs})
	}
	return rs
}

// What the records before were does not show, in whatever batches they come, and
// however much of a form is known.
func TestAlikeRecordsAreDeliveredAsTheyAre(t *testing.T) {
	f := offlinePacker(t)
	rapid.Check(t, func(t *rapid.T) {
		rs := alikeRecords(t)
		var steps []step
		for left := rs; len(left) > 0; {
			n := rapid.IntRange(1, len(left)).Draw(t, "together")
			if rapid.Bool().Draw(t, "packed") {
				r := fetched(nil, must(f.packCopy(rawRecords(left[:n]))), n, kgo.CodecNone).Records[0]
				steps = append(steps, step{pack: f.unpacked(r, 0)})
			} else {
				for _, r := range left[:n] {
					steps = append(steps, step{rec: r})
				}
			}
			left = left[n:]
		}
		var got []driver.Record
		u := unpacker{}
		u.open(steps, len(rs), func(d *driver.Delivery) { got = append(got, d.Record) })
		for i, r := range rs {
			alone := unpacker{}
			if want := alone.decode(r); !reflect.DeepEqual(got[i], want.Record) {
				t.Fatalf("record %d of %d:\n%+v\nalone\n%+v", i, len(rs), got[i], want.Record)
			}
		}
	})
}

func TestAFormIsKnownAfterTwoRecords(t *testing.T) {
	block := func(id, key string) []byte {
		r := &kgo.Record{Headers: []kgo.RecordHeader{
			{Key: "a", Value: []byte("1")},
			{Key: headerMessageID, Value: []byte(id)},
			{Key: "b", Value: []byte("2")},
			{Key: headerPartitionKey, Value: []byte(key)},
			{Key: "c", Value: []byte("3")},
		}}
		raw := rawRecords([]*kgo.Record{r})
		_, used := kbin.Varint(raw)
		at, _, _ := keyStart(raw[used:])
		_, at = field(raw[used:], at)
		_, at = field(raw[used:], at)
		return raw[used+at:]
	}
	var u unpacker
	u.packed(block("x", "k"))
	u.packed(block("y", "l"))
	if values, ok := u.form.read(block("z", "longer"), nil); !ok || string(values) != "zlonger" {
		t.Errorf("a third record is not of the form: %q", values)
	}
	other := block("z", "k")
	other[bytes.IndexByte(other, '2')] = '4' // between the two that differ
	if _, ok := u.form.read(other, nil); ok {
		t.Error("a record with another value is of the form")
	}
}

// Records of one form cost one string each, and their part of a slab. Where no
// two records are of one form it is learned now and then, not for each of them.
func TestAFormSavesMemoryAndIsNotLearnedAllTheTime(t *testing.T) {
	const n = 2000
	for name, c := range map[string]struct {
		key  func(i int) string
		most float64 // allocations a record
	}{
		"one form": {func(int) string { return "a" }, 1.2},
		"none":     {func(i int) string { return strings.Repeat("n", 1+i%2) }, 2.6},
	} {
		var rs []*kgo.Record
		for i := range n {
			rs = append(rs, &kgo.Record{Key: []byte("k"), Headers: []kgo.RecordHeader{
				{Key: c.key(i), Value: []byte("v")}, {Key: headerPartitionKey, Value: []byte("k")}, {Key: "z", Value: fmt.Append(nil, i)},
			}})
		}
		f := offlinePacker(t)
		r := fetched(nil, must(f.packCopy(rawRecords(rs))), n, kgo.CodecNone).Records[0]
		u := unpacker{log: "log"}
		allocs := testing.AllocsPerRun(3, func() {
			u.open([]step{{pack: f.unpacked(r, 0)}}, n, func(*driver.Delivery) {})
		})
		if allocs/n > c.most {
			t.Errorf("%s: %.2f allocations a record, at most %v", name, allocs/n, c.most)
		}
	}
}

// A record may have as many headers as fit, and they are few bytes each.
func TestVeryManyHeadersAreNoForm(t *testing.T) {
	hs := make([]kgo.RecordHeader, 100_000)
	rs := []*kgo.Record{{Headers: hs}, {Headers: hs}, {Headers: hs}}
	f := offlinePacker(t)
	ds := deliveries(f, fetched(nil, must(f.packCopy(rawRecords(rs))), len(rs), kgo.CodecNone).Records)
	if len(ds) != len(rs) || len(ds[2].Headers) != len(hs) {
		t.Fatalf("%d records", len(ds))
	}
	u := unpacker{}
	if u.form.learn(nil, make([]driver.Header, maxForm+1), nil); u.form.headers != nil {
		t.Error("a form of more headers than it may have")
	}
}
