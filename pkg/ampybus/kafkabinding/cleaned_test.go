package kafkabinding

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// cleaned is a batch of which the log cleaner has left the records with some
// offsets, as a client that begins at an offset sees it.
func cleaned(t *testing.T, d kgo.Decompressor, at int64, attributes int16, deltas ...int32) (rs []*kgo.Record, next int64) {
	t.Helper()
	var raw []byte
	for _, delta := range deltas {
		k := kmsg.Record{OffsetDelta: delta, TimestampDelta64: int64(delta), Value: []byte{byte(delta)}}
		k.Length = int32(len(k.AppendTo(nil)) - 1)
		raw = k.AppendTo(raw)
	}
	packed, used := pack(t, kgo.SnappyCompression(), raw)
	batch := kmsg.RecordBatch{
		FirstOffset: 100, LastOffsetDelta: 9, FirstTimestamp: 1000, MaxTimestamp: 5000, Magic: 2, ProducerID: 7,
		Attributes: int16(used) | attributes, NumRecords: int32(len(deltas)), Records: packed,
	}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	resp := kmsg.FetchResponseTopicPartition{RecordBatches: batch.AppendTo(nil)}
	resp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7, FirstOffset: 100}}
	o := kgo.ProcessFetchPartitionOpts{
		Topic: "ampy.dev.orders.v1", Offset: at, DisableCRCValidation: true, Pools: []kgo.Pool{new(slabs)},
		IsolationLevel: kgo.ReadUncommitted(),
	}
	if attributes&transactional != 0 {
		o.IsolationLevel = kgo.ReadCommitted()
	}
	fp, next := kgo.ProcessFetchPartition(o, &resp, d, nil)
	if fp.Err != nil {
		t.Fatal(fp.Err)
	}
	return fp.Records, next
}

const (
	logAppendTime = 0b1000
	transactional = 0b10000
)

func TestAClientGoesOnBehindABatchAndGetsWhatItAskedFor(t *testing.T) {
	f := offlinePacker(t)
	for _, c := range []struct {
		name       string
		at         int64
		attributes int16
		deltas     []int32
		want       []uint64
	}{
		{"a whole batch", 100, 0, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, []uint64{100, 101, 102, 103, 104, 105, 106, 107, 108, 109}},
		{"from its middle", 107, 0, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, []uint64{107, 108, 109}},
		{"from its last", 109, 0, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, []uint64{109}},
		{"from a hole", 103, 0, []int32{1, 5, 9}, []uint64{105, 109}},
		{"without its end", 100, 0, []int32{0, 1, 2}, []uint64{100, 101, 102}},
		{"from behind all that is left", 103, 0, []int32{0, 1, 2}, nil},
		{"one record", 100, 0, []int32{4}, []uint64{104}},
		{"one record that lies before", 105, 0, []int32{4}, nil},
		{"times of the log", 100, logAppendTime, []int32{0, 9}, []uint64{100, 109}},
		{"an aborted transaction", 100, transactional, []int32{0, 9}, nil},
	} {
		rs, next := cleaned(t, f, c.at, c.attributes, c.deltas...)
		if next != 110 && c.attributes&transactional == 0 || next <= c.at {
			t.Errorf("%s: the client goes on at %d", c.name, next)
		}
		var u unpacker
		var got []uint64
		for _, r := range rs {
			s := f.step(r, uint64(c.at))
			u.open([]step{s}, s.load().records, func(d *driver.Delivery) {
				got = append(got, d.Pos)
				ms := int64(1000 + d.Pos - 100)
				if c.attributes == logAppendTime {
					ms = 5000
				}
				if d.StoredAt.UnixMilli() != ms {
					t.Errorf("%s: stored at %d, want %d", c.name, d.StoredAt.UnixMilli(), ms)
				}
			})
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
