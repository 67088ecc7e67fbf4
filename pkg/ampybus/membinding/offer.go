package membinding

import "github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"

// An event is offered until it is received or no longer true; only then does
// the broker count it as handed out. So nothing is in between: who does not
// receive holds back one event and nothing else.
type offer struct {
	set     bool
	event   driver.Event
	version uint64 // of the source
	told    bool   // from source.told

	lane      *lane
	reset     uint64 // of the lane
	positions []uint64
	next      uint64 // position of the lane behind the event
}

const (
	// maxBatch and maxBatchBytes bound the records of one event, or of one
	// Reader.Next; a single record may be larger.
	maxBatch      = 256
	maxBatchBytes = 1 << 20
)

// stands reports whether o may still be handed out.
func (s *source) stands(o offer) bool {
	s.t.b.mu.Lock()
	defer s.t.b.mu.Unlock()
	return o.set && o.version == s.version
}

// next is what the member should receive next: what it was told, then a gap or
// records of its lanes in turn.
func (s *source) next() offer {
	s.t.b.mu.Lock()
	defer s.t.b.mu.Unlock()
	if len(s.told) > 0 {
		return offer{set: true, event: s.told[0], version: s.version, told: true}
	}
	if !s.t.connected {
		return offer{}
	}
	owned := s.lanes()
	for i := range owned {
		ln := owned[(s.turn+i)%len(owned)]
		if o := ln.offer(s.cfg.MaxSpan); o.set {
			s.turn += i + 1
			o.version = s.version
			return o
		}
	}
	return offer{}
}

// offer is the lane's next gap or records, at most up to maxSpan of them
// without a commit.
func (ln *lane) offer(maxSpan int) offer {
	if ln.paused || ln.draining {
		return offer{}
	}
	o := offer{lane: ln, reset: ln.reset}
	if ln.next < ln.log.first {
		o.set, o.next = true, ln.log.first
		o.event = ln.event(driver.Gap)
		o.event.From, o.event.To = ln.next, ln.log.first
		return o
	}
	o.event = ln.event(driver.Records)
	room, bytes := min(maxSpan-len(ln.out), maxBatch), 0
	end := ln.log.next()
	ln.skip(end)
	for pos := ln.next; pos < end && len(o.positions) < room; pos = ln.seek(pos+1, end) {
		bytes += size(ln.log.at(pos).rec)
		if bytes > maxBatchBytes && len(o.positions) > 0 {
			break
		}
		o.event.Records = append(o.event.Records, ln.log.delivery(pos, ln.counts[pos]+1))
		o.positions = append(o.positions, pos)
		o.next = pos + 1
	}
	o.set = len(o.positions) > 0
	return o
}

// skip passes over what belongs to others, which is never read again. Where all
// before is finished, so is that: its retention is no gap of this lane.
func (ln *lane) skip(end uint64) {
	finished := ln.next == ln.committed
	ln.next = ln.seek(ln.next, end)
	if finished {
		ln.committed = ln.next
	}
}

// received notes that the member has o. A commit may have come in between; so
// may a change that makes delivery begin anew, and then o does not count.
func (s *source) received(o offer) {
	s.t.b.mu.Lock()
	defer s.t.b.mu.Unlock()
	if o.told {
		s.told = s.told[1:]
		return
	}
	if o.lane.reset == o.reset {
		o.lane.handedOut(o.positions, o.next)
	}
}
