package kafkabinding

import (
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/prefetch"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// step is what comes next of a partition: a batch, a record, or a gap. Records
// wait as they were fetched: what is decoded is several times as large.
type step struct {
	pack           *packedBatch
	rec            *kgo.Record // as the client made it, of a batch that was not compressed
	gapFrom, gapTo uint64      // of a gap, which has neither
}

func (s step) isGap() bool { return s.pack == nil && s.rec == nil }

// packedBatch is what is left of a batch.
type packedBatch struct {
	topic string
	raw   []byte // records, each behind its length
	left  int
	base  int64     // offset of the batch
	from  int64     // what lies before is not wanted
	time  time.Time // of the batch
	each  bool      // records have times of their own, counted from there
	// headers is the size of the last record's.
	headers int
}

// ahead asks for the memory of the headers that come two records later, as if
// all were of the same size: of a payload nothing is read here, so the processor
// does not foresee what is.
func (p *packedBatch) ahead(size int) {
	if from, to := 3*size-p.headers, 3*size+slack; from > slack && to <= len(p.raw) {
		prefetch.Bytes(p.raw[from-slack : to])
	}
}

// slack is for records that are not of the same size, and for the beginning of
// the next.
const slack = 32

// step is what a fetched record stands for; the client may use the memory of
// one that stands for a batch again. Records before from are not wanted.
func (f *packer) step(r *kgo.Record, from uint64) step {
	if p := f.unpacked(r, from); p != nil {
		r.Recycle()
		return step{pack: p}
	}
	return step{rec: r}
}

// load is how much waits.
type load struct{ records, bytes int }

func (s step) load() load {
	switch {
	case s.pack != nil:
		return load{s.pack.left, len(s.pack.raw)}
	case s.rec != nil:
		return load{1, len(s.rec.Value)}
	}
	return load{}
}

func (l *load) add(o load) { l.records, l.bytes = l.records+o.records, l.bytes+o.bytes }
func (l *load) sub(o load) { l.records, l.bytes = l.records-o.records, l.bytes-o.bytes }

// backlog is what waits to be decoded, in order.
type backlog struct {
	steps   []step
	waiting load
}

func (b *backlog) add(s step) {
	b.steps = append(b.steps, s)
	b.waiting.add(s.load())
}

// done lets go of the first n steps; so much was taken from them.
func (b *backlog) done(taken load, n int) {
	b.waiting.sub(taken)
	clear(b.steps[:n])
	if b.steps = b.steps[n:]; len(b.steps) == 0 {
		b.steps = nil
	}
}

// open makes deliveries of up to n records, up to a gap. It says how much that
// was, and how many steps were used up.
func (u *unpacker) open(steps []step, n int, take func(*driver.Delivery)) (done load, used int) {
	for used < len(steps) && done.records < n && !steps[used].isGap() {
		s := steps[used]
		if s.pack == nil {
			u.one = u.decode(s.rec)
			take(&u.one)
			done.add(s.load())
			used++
			continue
		}
		before := s.load()
		u.openPack(s.pack, n-done.records, take)
		before.sub(s.load())
		done.add(before)
		if s.pack.left == 0 {
			used++
		}
	}
	return done, used
}

// openPack takes up to n records from a batch; packer has seen that all can be
// read.
func (u *unpacker) openPack(p *packedBatch, n int, take func(*driver.Delivery)) {
	for ; n > 0 && p.left > 0; n-- {
		size, used := kbin.Varint(p.raw)
		in := p.raw[used : used+int(size)]
		p.raw = p.raw[used+int(size):]
		p.ahead(int(size))
		p.left--
		at, ms, delta := keyStart(in)
		pos := p.base + int64(delta)
		if pos < p.from {
			continue
		}
		d := &u.one
		*d = driver.Delivery{Log: u.log, Pos: uint64(pos), StoredAt: p.time}
		if p.each {
			d.StoredAt = p.time.Add(time.Duration(ms) * time.Millisecond)
		}
		keyFrom, keyTo := field(in, at)
		from, to := field(in, keyTo)
		if in[keyTo]&1 == 0 { // a length, not that of nothing
			d.Value = in[from:to:to]
		}
		p.headers = len(in) - to
		u.finish(d, p.topic, in[keyFrom:keyTo], u.packed(in[to:]))
		take(d)
	}
}
