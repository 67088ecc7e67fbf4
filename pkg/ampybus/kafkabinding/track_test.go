package kafkabinding

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// TestWhoeverWantsTheFirstRecordWaitsForFew: a fetch of small records holds
// tens of thousands, and only those of one topic are wanted.
func TestWhoeverWantsTheFirstRecordWaitsForFew(t *testing.T) {
	p, err := parsePattern("ampy.dev.bars.v1.wanted")
	if err != nil {
		t.Fatal(err)
	}
	const n = 10 * openRecords
	r := &reader{p: p, t: &Transport{packer: newPacker()}}
	k := &track{place: place{topic: "ampy.dev.bars.v1"}, end: endless}
	r.order = []*track{k}
	var recs []*kgo.Record
	for i := range n {
		topic := "ampy.dev.bars.v1.wanted"
		if i < openRecords {
			topic = "ampy.dev.bars.v1.other"
		}
		recs = append(recs, &kgo.Record{Topic: k.topic, Offset: int64(i), Headers: []kgo.RecordHeader{{Key: headerTopic, Value: []byte(topic)}}})
	}
	r.take(k, recs)
	if k.next != n || k.held() != n {
		t.Fatalf("read to %d, holds %d, want %d", k.next, k.held(), n)
	}
	if first := r.oldest(); first != k || k.head[0].Pos != openRecords || len(k.ahead.steps) != n-2*openRecords {
		t.Errorf("%v, %d records not decoded, want %d", first, len(k.ahead.steps), n-2*openRecords)
	}
	for pos := uint64(openRecords); pos < n; {
		out, err := r.merge()
		if err != nil || len(out) == 0 {
			t.Fatalf("at %d: %d records, %v", pos, len(out), err)
		}
		for i := range out {
			if out[i].Pos != pos {
				t.Fatalf("record %d where %d comes next", out[i].Pos, pos)
			}
			pos++
		}
	}
	if k.held() != 0 {
		t.Errorf("%d records are left", k.held())
	}
}

// TestAGapWaitsForWhatLiesBefore: with records left nobody asks for one, so it
// cannot be reported behind what comes after it.
func TestAGapWaitsForWhatLiesBefore(t *testing.T) {
	k := &track{failed: true, head: make([]driver.Delivery, 1)}
	r := &reader{order: []*track{k}} // it has no transport to ask
	r.repair(t.Context())
	if !k.failed || k.gap != nil {
		t.Errorf("failed %v, gap %v", k.failed, k.gap)
	}
}
