package kafkabinding

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// readAhead bounds the records of one partition that wait to be merged,
	// but for the last fetch.
	readAhead = 4096
	// openRecords are decoded at a time: a fetch may bring tens of thousands,
	// and whoever wants the first should not wait for all.
	openRecords = 64
)

// track is a reader's place in one partition: what is left is [next, end).
type track struct {
	place
	name    string
	unpack  unpacker
	next    uint64 // behind what was read
	end     uint64
	history uint64            // up to here it is merged with the others by time
	head    []driver.Delivery // comes next
	ahead   backlog           // behind that
	room    []driver.Delivery // the memory of head
	gap     *driver.GapError  // before what is read next
	paused  bool
	failed  bool // the feed has stopped reading it
}

func (k *track) done() bool     { return k.next >= k.end && k.gap == nil }
func (k *track) caughtUp() bool { return k.next >= min(k.history, k.end) }
func (k *track) held() int      { return len(k.head) + k.ahead.waiting.records }

func (r *reader) window(p place, b logBounds, first bool) *track {
	k := &track{place: p, name: p.log(), unpack: unpacker{log: p.log()}, next: b.of(b.first, p), history: b.of(b.next, p)}
	k.end = k.history
	from, set := r.c.From[k.name]
	switch {
	case !first:
	case set:
		k.next = from
		if begin := b.of(b.first, p); from < begin {
			k.gap = &driver.GapError{Log: k.name, From: from, To: begin}
			k.next = begin
		}
	case r.c.New:
		k.next = k.history
	case !r.c.Start.IsZero():
		k.next = b.of(b.start, p)
	}
	if !r.c.End.IsZero() {
		k.end = b.of(b.end, p)
	}
	if r.follows() {
		k.end = endless
	}
	return k
}

// take adds records of one partition to its track. One that holds plenty and is
// fetched again, because another has nothing, is paused.
func (r *reader) take(k *track, rs []*kgo.Record) {
	if !k.paused && k.held() >= readAhead {
		k.paused = true
		r.feed.pause(k.place)
	}
	for _, rec := range rs {
		from, pos := k.next, uint64(rec.Offset)
		k.next = min(pos+1, k.end)
		if !rec.Attrs.IsControl() {
			k.ahead.add(r.t.packer.step(rec, from))
		}
		if pos >= k.end {
			break
		}
	}
	if k.next >= k.end {
		r.feed.stop(k.place)
	}
}

// open decodes what comes next on a track.
func (r *reader) open(k *track) {
	for len(k.head) == 0 && len(k.ahead.steps) > 0 {
		k.head = k.room[:0]
		done, used := k.unpack.open(k.ahead.steps, openRecords, func(d *driver.Delivery) {
			if d.Pos < k.end && r.p.wants(d.Topic) && r.within(d) {
				k.head = append(k.head, *d)
			}
		})
		k.room = k.head
		k.ahead.done(done, used)
	}
}

// within checks the times of a window once more: where producers set them, a
// log is not in their order. Positions win over the start.
func (r *reader) within(d *driver.Delivery) bool {
	if !r.c.End.IsZero() && !d.StoredAt.Before(r.c.End) {
		return false
	}
	_, from := r.c.From[d.Log]
	return from || r.c.Start.IsZero() || !d.StoredAt.Before(r.c.Start)
}
