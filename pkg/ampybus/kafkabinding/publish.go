package kafkabinding

import (
	"errors"
	"fmt"
	"sync"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// publication is one Publish call on its way. Records of one Kafka topic go out
// together: the client keeps them in order, and gives none of a partition up to
// store a later one.
type publication struct {
	t       *Transport
	recs    []driver.Record
	settle  func(int, driver.Outcome)
	call    *openCall
	handing sync.Mutex // held while records are handed to the client

	mu     sync.Mutex
	next   int // the next to settle
	sent   int // those below were handed to the client
	failed bool
	early  map[int]driver.Outcome // known before their turn
}

// Publish implements driver.Transport. An attempt without an answer is
// uncertain after Config.AckTimeout; its record stays on its way, and a repeat
// with the same ID waits for it instead of sending a second one.
func (t *Transport) Publish(recs []driver.Record, settle func(int, driver.Outcome)) {
	if len(recs) == 0 {
		return
	}
	p := &publication{t: t, recs: recs, settle: settle}
	if !t.open.add(p) {
		for i := range recs {
			settle(i, driver.Outcome{Err: fmt.Errorf("publish to %s: %w", recs[i].Topic, driver.ErrClosed)})
		}
		return
	}
	p.send()
}

// send hands over the records from p.sent on that go to one Kafka topic.
func (p *publication) send() {
	i := p.sent
	name, err := p.t.cfg.Layout.kafkaTopic(p.recs[i].Topic)
	if err != nil {
		p.refuse(i, fmt.Errorf("publish: %w", err))
		return
	}
	if kt := p.t.topics.lookup(name); kt != nil {
		p.sendTo(kt, i)
		return
	}
	p.t.topics.later(func() {
		kt, err := p.t.topics.find(name)
		if err != nil {
			p.refuse(i, fmt.Errorf("publish to %s: %w", p.recs[i].Topic, err))
			return
		}
		p.sendTo(kt, i)
	})
}

// admit refuses what the topic would not take.
func (kt *kafkaTopic) admit(rec *driver.Record) error {
	if n := size(rec); n > kt.maxRecord {
		return fmt.Errorf("publish to %s: %d bytes where %d are allowed: %w", rec.Topic, n, kt.maxRecord, driver.ErrTooLarge)
	}
	return nil
}

// refuse settles record i, which was not handed over, with err.
func (p *publication) refuse(i int, err error) {
	p.mu.Lock()
	if p.sent == i && !p.failed {
		p.sent = i + 1
	}
	p.mu.Unlock()
	p.result(i, driver.Outcome{Err: err})
}

func (p *publication) sendTo(kt *kafkaTopic, i int) {
	if err := kt.admit(&p.recs[i]); err != nil {
		p.refuse(i, err)
		return
	}
	end := i + 1
	for end < len(p.recs) && p.together(kt, i, end) {
		end++
	}
	for j, known := range p.handOver(kt, i, end) {
		p.result(j, known)
	}
}

// handOver gives records [i, end) to the client, and returns the outcomes that
// are known already. The call does not expire in the middle: its repeat would
// hand over the same records beside this one, and could put a later one first.
func (p *publication) handOver(kt *kafkaTopic, i, end int) map[int]driver.Outcome {
	p.handing.Lock()
	defer p.handing.Unlock()
	p.mu.Lock()
	if p.failed {
		p.mu.Unlock()
		return nil
	}
	p.sent = end
	p.mu.Unlock()
	var all map[int]driver.Outcome
	var one [1]*sending // most calls have one record
	out := one[:0]
	if end-i > 1 {
		out = make([]*sending, 0, end-i)
	}
	for j := i; j < end; j++ {
		s, known := p.begin(kt, j)
		switch {
		case s != nil:
			out = append(out, s)
		case known != nil:
			if all == nil {
				all = make(map[int]driver.Outcome)
			}
			all[j] = *known
		}
	}
	p.t.outbox.add(out...)
	return all
}

// together reports whether record j may go out with record i.
func (p *publication) together(kt *kafkaTopic, i, j int) bool {
	if kt.admit(&p.recs[j]) != nil {
		return false
	}
	if p.recs[i].Topic == p.recs[j].Topic {
		return true
	}
	name, err := p.t.cfg.Layout.kafkaTopic(p.recs[j].Topic)
	return err == nil && name == kt.name
}

// begin makes what record j needs on its way. Neither is returned where another
// record with its ID settles this one too.
func (p *publication) begin(kt *kafkaTopic, j int) (out *sending, known *driver.Outcome) {
	rec := &p.recs[j]
	var id idKey
	if rec.ID != "" {
		id = keyOf(rec.ID)
		switch at, state := kt.ids.begin(id, p, j); state {
		case idStored:
			partition, offset := partOf(at)
			return nil, &driver.Outcome{Duplicate: true, Log: kt.log(partition), Pos: offset}
		case idWaits:
			return nil, nil
		}
	}
	out = p.t.newSending()
	out.p, out.kt, out.i, out.id = p, kt, j, id
	out.encode(rec, kt.name)
	return out, nil
}

// result notes what became of record i, and settles all whose turn has come.
func (p *publication) result(i int, o driver.Outcome) {
	p.mu.Lock()
	more := p.take(i, o)
	p.mu.Unlock()
	if more {
		p.send()
	}
}

// take reports whether the next records are to be sent. The lock is held.
func (p *publication) take(i int, o driver.Outcome) (more bool) {
	if i < p.next {
		return false // settled as uncertain before
	}
	if i > p.next {
		if p.early == nil {
			p.early = make(map[int]driver.Outcome)
		}
		p.early[i] = o
		return false
	}
	for ok := true; ok; {
		p.settleNext(o)
		o, ok = p.early[p.next]
	}
	if p.next < p.sent || p.next == len(p.recs) {
		return false
	}
	if p.failed {
		p.settleRest()
		return false
	}
	return true
}

// settleNext settles the next record. One that comes behind a failure was sent
// together with the failed one, so a copy of it may be stored.
func (p *publication) settleNext(o driver.Outcome) {
	i := p.next
	p.next++
	if p.failed {
		kind := driver.ErrUnavailable
		if o.Err == nil || errors.Is(o.Err, driver.ErrUncertain) {
			kind = driver.ErrUncertain
		}
		o = driver.Outcome{Err: p.behind(i, kind)}
	}
	p.failed = p.failed || o.Err != nil
	if p.next == len(p.recs) {
		p.call.close()
	}
	p.settle(i, o)
}

func (p *publication) behind(i int, kind error) error {
	return fmt.Errorf("publish to %s: an earlier record of the key was not stored: %w", p.recs[i].Topic, kind)
}

// settleRest settles what was never handed over. The lock is held.
func (p *publication) settleRest() {
	for p.next < len(p.recs) {
		p.settleNext(driver.Outcome{Err: driver.ErrUnavailable})
	}
}

var errNoAnswer = fmt.Errorf("no acknowledgement in time: %w", driver.ErrUncertain)

// expire settles all that is open: uncertain where it was handed over.
func (p *publication) expire() {
	p.handing.Lock()
	defer p.handing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.next < p.sent {
		o, known := p.early[p.next]
		if !known {
			o = driver.Outcome{Err: fmt.Errorf("publish to %s: %w", p.recs[p.next].Topic, p.silence())}
		}
		p.settleNext(o)
	}
	if p.next < len(p.recs) {
		// Not handed over, and never will be.
		p.failed = true
		p.settleRest()
	}
}

// silence is what a missing answer means.
func (p *publication) silence() error {
	if mutant.On("report-fail-on-timeout") {
		return driver.ErrUnavailable
	}
	return errNoAnswer
}
