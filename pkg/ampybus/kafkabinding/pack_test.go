package kafkabinding

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// offlinePacker is that of a transport that is connected to nobody.
func offlinePacker(t testing.TB) *packer {
	t.Helper()
	c, err := Config{}.resolved()
	if err != nil {
		t.Fatal(err)
	}
	tr, err := newTransport(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close(t.Context()) })
	return tr.packer
}

// rawRecords are records as a batch holds them.
func rawRecords(rs []*kgo.Record) []byte {
	var b []byte
	for i, r := range rs {
		k := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: int64(i), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			k.Headers = append(k.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		k.Length = int32(len(k.AppendTo(nil)) - 1) // without the length 0
		b = k.AppendTo(b)
	}
	return b
}

// fetched is what a client makes of a batch.
func fetched(d kgo.Decompressor, records []byte, n int, packed kgo.CompressionCodecType) kgo.FetchPartition {
	batch := kmsg.RecordBatch{
		FirstOffset: 100, LastOffsetDelta: int32(n - 1), Magic: 2, Attributes: int16(packed),
		NumRecords: int32(n), Records: records,
	}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	resp := kmsg.FetchResponseTopicPartition{RecordBatches: batch.AppendTo(nil)}
	o := kgo.ProcessFetchPartitionOpts{Topic: "ampy.dev.orders.v1", DisableCRCValidation: true}
	fp, _ := kgo.ProcessFetchPartition(o, &resp, d, nil)
	return fp
}

// pack compresses as a producer does.
func pack(t rapid.TB, codec kgo.CompressionCodec, b []byte) ([]byte, kgo.CompressionCodecType) {
	c, err := kgo.DefaultCompressor(codec)
	if err != nil {
		t.Fatal(err)
	}
	if c == nil {
		return b, kgo.CodecNone
	}
	packed, used := c.Compress(new(bytes.Buffer), b)
	return slices.Clone(packed), used
}

// deliveries are what a reader makes of fetched records, a few at a time.
func deliveries(p *packer, rs []*kgo.Record) []driver.Delivery {
	ds := make([]driver.Delivery, 0, len(rs))
	var steps []step
	for _, r := range rs {
		steps = append(steps, p.step(r, 0))
	}
	for u := (unpacker{}); len(steps) > 0; {
		_, used := u.open(steps, 2, func(d *driver.Delivery) { ds = append(ds, *d) })
		steps = steps[used:]
	}
	return ds
}

func TestPackedRecordsAreDeliveredAsPlainOnes(t *testing.T) {
	f := offlinePacker(t)
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				var rs []*kgo.Record
				for _, rec := range rapid.SliceOfN(records(), 1, 5).Draw(t, "records") {
					r := encode(&rec, "ampy.dev.orders.v1")
					r.Key = rapid.SampledFrom([][]byte{r.Key, nil, {}, bytes.Repeat(r.Key, 70)}).Draw(t, "key")
					r.Value = rapid.SampledFrom([][]byte{r.Value, nil, {}, bytes.Repeat([]byte{1}, 9000)}).Draw(t, "value")
					rs = append(rs, r)
				}
				plain := rawRecords(rs)
				packed, used := pack(t, codec, plain)
				want := fetched(kgo.DefaultDecompressor(), packed, len(rs), used)
				got := fetched(f, packed, len(rs), used)
				if got.Err != nil || len(want.Records) != len(rs) {
					t.Fatalf("fetching %d records: %d, %v", len(rs), len(want.Records), got.Err)
				}
				if a, b := deliveries(f, got.Records), deliveries(nil, want.Records); !reflect.DeepEqual(a, b) {
					t.Fatalf("packed\n%+v\nplain\n%+v", a, b)
				}
				if used != kgo.CodecNone && len(got.Records) != 1 {
					t.Fatalf("the client made %d records", len(got.Records))
				}
			})
		})
	}
}

// Java clients write snappy in frames.
func TestFramedSnappyIsUnpackedToo(t *testing.T) {
	f := offlinePacker(t)
	plain := rawRecords([]*kgo.Record{{Key: []byte("k"), Value: []byte("one")}, {Key: []byte("k"), Value: []byte("two")}})
	framed := append([]byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}, 0, 0, 0, 1, 0, 0, 0, 1)
	for _, block := range [][]byte{plain[:5], plain[5:]} {
		packed := s2.EncodeSnappy(nil, block)
		framed = append(binary.BigEndian.AppendUint32(framed, uint32(len(packed))), packed...)
	}
	fp := fetched(f, framed, 2, kgo.CodecSnappy)
	if ds := deliveries(f, fp.Records); fp.Err != nil || len(ds) != 2 || string(ds[1].Value) != "two" {
		t.Fatalf("%+v, %v", ds, fp.Err)
	}
}

// A producer knows the form of a packed batch, and not the mark.
func TestARecordThatLooksPackedIsTakenAsItIs(t *testing.T) {
	theirs, ours := offlinePacker(t), offlinePacker(t)
	honest := &kgo.Record{Key: []byte("k"), Headers: []kgo.RecordHeader{{Key: "topic", Value: []byte("ampy.dev.orders.v1.X")}}}
	stolen := fetched(theirs, must(theirs.packCopy(rawRecords([]*kgo.Record{honest}))), 1, kgo.CodecNone).Records[0]
	for name, codec := range codecs {
		packed, used := pack(t, codec, rawRecords([]*kgo.Record{{Key: stolen.Key, Value: stolen.Value}}))
		d := deliveries(ours, fetched(ours, packed, 1, used).Records)
		if len(d) != 1 || d[0].Key != string(stolen.Key) || len(d[0].Headers) > 0 || !bytes.Equal(d[0].Value, stolen.Value) {
			t.Errorf("%s: a forged record is delivered as %+v", name, d)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestABatchThatUnpacksToTooMuchIsAnError(t *testing.T) {
	f := offlinePacker(t)
	bomb := rawRecords([]*kgo.Record{{Value: make([]byte, maxUnpacked)}})
	for _, name := range []string{"snappy", "zstd"} { // gzip and lz4 take seconds, and the same path
		packed, used := pack(t, codecs[name], bomb)
		if fp := fetched(f, packed, 1, used); !errors.Is(fp.Err, kgo.ErrMaxDecompress) || len(fp.Records) > 0 {
			t.Errorf("%s: %d records, %v; want %v", name, len(fp.Records), fp.Err, kgo.ErrMaxDecompress)
		}
	}
}

func TestADamagedBatchIsAnErrorAndNothingOfItIsDelivered(t *testing.T) {
	f := offlinePacker(t)
	rs := []*kgo.Record{
		{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("b")}}},
		{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "a"}, {Key: "c", Value: bytes.Repeat([]byte("d"), 200)}}},
	}
	whole := rawRecords(rs)
	first := len(rawRecords(rs[:1]))
	for cut := 1; cut < len(whole); cut++ {
		packed, used := pack(t, kgo.SnappyCompression(), whole[:cut])
		fp := fetched(f, packed, len(rs), used)
		if cut == first {
			continue // a whole record, of which there should be two: the client reads on from there
		}
		if fp.Err == nil || !strings.Contains(fp.Err.Error(), "cannot be read") || len(fp.Records) > 0 {
			t.Errorf("cut at %d of %d: %d records, %v", cut, len(whole), len(fp.Records), fp.Err)
		}
	}
	for name, damaged := range map[string][]byte{
		"snappy": {0xff, 0xff, 0xff, 0xff, 0x7f}, "gzip": []byte("no gzip"), "zstd": []byte("no zstd"), "lz4": []byte("no lz4 at all"),
	} {
		_, used := pack(t, codecs[name], whole)
		if fp := fetched(f, damaged, 1, used); fp.Err == nil {
			t.Errorf("%s: what is no such data gives %d records", name, len(fp.Records))
		}
	}
}

// What the log cleaner leaves of a batch may be nothing, and sets of messages
// from before Kafka 0.11 hold no records.
func TestWhatHoldsNoRecordsIsLeftAsItIs(t *testing.T) {
	f := offlinePacker(t)
	set := (&kmsg.MessageV1{Offset: 7, Magic: 1, Key: []byte("k"), Value: []byte("v")}).AppendTo(nil)
	for _, codec := range []string{"gzip", "snappy"} {
		for _, plain := range [][]byte{{}, set} {
			packed, used := pack(t, codecs[codec], plain)
			if out, err := f.Decompress(packed, used); err != nil || !bytes.Equal(out, plain) {
				t.Errorf("%s: %x came back as %x, %v", codec, plain, out, err)
			}
		}
	}
}

// Whatever a batch holds: an error, or what the client would have read.
func FuzzPack(f *testing.F) {
	f.Add(rawRecords([]*kgo.Record{{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "topic", Value: []byte("x")}}}, {}}))
	f.Add([]byte{12, 0, 0, 0, 1, 1, 0})
	f.Add([]byte{14, 0, 0, 0, 1, 1, 2, 1})
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x10, 0})
	packer := newPacker()
	f.Fuzz(func(t *testing.T, in []byte) {
		n, _, err := survey(in)
		if err != nil || n == 0 {
			return
		}
		out := must(packer.packCopy(in))
		got := deliveries(packer, fetched(nil, out, n, kgo.CodecNone).Records)
		want := deliveries(nil, fetched(nil, in, n, kgo.CodecNone).Records)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("packed\n%+v\nplain\n%+v", got, want)
		}
	})
}
