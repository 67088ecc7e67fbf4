package kafkabinding

import (
	"sort"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// eventRecords bounds the records of one event, so that a receiver can stop
	// in time when its own limits are reached.
	eventRecords = 256
	// aheadRecords and aheadBytes bound what a lane holds that nobody has
	// received: above them its partition is paused, below half it resumes.
	aheadRecords = 4 * eventRecords
	aheadBytes   = 4 << 20
)

// lane is a partition in the time in which this member owns it. The source's
// lock guards it but for writing.
type lane struct {
	place
	name    string
	writing sync.Mutex // one commit at a time
	claim   claim

	committed uint64 // everything below is finished
	fetched   uint64 // position behind what the feed has brought
	ahead     []step // what the member has not received
	bytes     int
	out       []uint64 // positions received and not committed, rising
	held      bool     // the feed is paused
	asking    bool     // for the bounds of a gap
	paused    bool
	draining  bool
	gone      bool // nothing can be committed any more
}

// step is a record or a gap that comes next on a lane.
type step struct {
	driver.Delivery
	gapFrom, gapTo uint64 // gapTo 0: a record
}

func (l *lane) event(kind driver.EventKind) driver.Event {
	return driver.Event{Kind: kind, Lane: l.name, Epoch: l.claim.epoch}
}

// offer is the lane's next gap or records, at most up to maxSpan of them
// without a commit; n is how many steps it is.
func (l *lane) offer(maxSpan int) (ev driver.Event, n int) {
	if l.paused || l.draining || l.gone || len(l.ahead) == 0 {
		return ev, 0
	}
	if s := &l.ahead[0]; s.gapTo > 0 {
		ev = l.event(driver.Gap)
		ev.From, ev.To = s.gapFrom, s.gapTo
		return ev, 1
	}
	ev = l.event(driver.Records)
	limit := min(len(l.ahead), eventRecords, maxSpan-len(l.out))
	for n < limit && l.ahead[n].gapTo == 0 {
		n++
	}
	if n <= 0 {
		return ev, 0
	}
	ev.Records = make([]driver.Delivery, n)
	for i := range ev.Records {
		ev.Records[i] = l.ahead[i].Delivery
	}
	return ev, n
}

// received notes that the member has the next n steps.
func (l *lane) received(n int) {
	for i := range l.ahead[:n] {
		s := &l.ahead[i]
		if s.gapTo > 0 {
			l.out = append(l.out, s.gapTo-1) // the member decides when it is behind it
			continue
		}
		l.bytes -= len(s.Value)
		if s.Pos >= l.committed {
			l.out = append(l.out, s.Pos)
		}
	}
	clear(l.ahead[:n])
	if l.ahead = l.ahead[n:]; len(l.ahead) == 0 {
		l.ahead = nil
	}
}

// finished notes a commit.
func (l *lane) finished(low uint64) {
	l.committed = low
	n := sort.Search(len(l.out), func(i int) bool { return l.out[i] >= low })
	l.out = l.out[n:]
}

// beyond extends a finished prefix over what was brought and passed over: the
// records that the group's pattern does not match.
func (l *lane) beyond(low uint64) uint64 {
	if len(l.ahead) > 0 || len(l.out) > 0 && l.out[len(l.out)-1] >= low {
		return low
	}
	return max(low, l.fetched)
}

// full and roomy say when the feed pauses and goes on.
func (l *lane) full() bool  { return len(l.ahead) >= aheadRecords || l.bytes >= aheadBytes }
func (l *lane) roomy() bool { return len(l.ahead) <= aheadRecords/2 && l.bytes <= aheadBytes/2 }
