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
	// aheadRecords and aheadBytes of all lanes, fetched and not received, are
	// enough to work on while the next fetch is under way. A lane that alone
	// holds as much and is fetched again, because others starve, is paused at
	// the client, which then throws away what it has read ahead for it; below
	// half of that it resumes.
	aheadRecords = 4096
	aheadBytes   = 8 << 20
)

// lane is a partition in the time in which this member owns it. The source's
// lock guards it but for writing.
type lane struct {
	place
	name    string
	unpack  unpacker   // of the goroutine that hands out events
	wanted  string     // its own too: the last topic that the pattern matched
	writing sync.Mutex // one commit at a time
	claim   claim

	committed uint64            // everything below is finished
	fetched   uint64            // position behind what the feed has brought
	ready     []driver.Delivery // decoded, and next to be received
	opening   bool              // records are being decoded: neither ready nor ahead
	ahead     backlog           // what comes behind that
	caughtUp  bool              // with the log, when it was last fetched
	out       []uint64          // positions received and not committed, rising
	held      bool              // the feed is paused
	asking    bool              // for the bounds of a gap
	paused    bool
	draining  bool
	gone      bool // nothing can be committed any more
}

func (l *lane) event(kind driver.EventKind) driver.Event {
	return driver.Event{Kind: kind, Lane: l.name, Epoch: l.claim.epoch}
}

// waits reports that the lane has nothing for the member now.
func (l *lane) waits() bool {
	return l.paused || l.draining || l.gone || len(l.ready) == 0 && len(l.ahead.steps) == 0
}

// offer is the lane's next gap or records, at most up to maxSpan of them
// without a commit; n is how many steps it is.
func (l *lane) offer(maxSpan int) (ev driver.Event, n int) {
	if l.waits() {
		return ev, 0
	}
	if len(l.ready) == 0 {
		ev = l.event(driver.Gap)
		ev.From, ev.To = l.ahead.steps[0].gapFrom, l.ahead.steps[0].gapTo
		return ev, 1
	}
	ev = l.event(driver.Records)
	if n = min(len(l.ready), maxSpan-len(l.out)); n <= 0 {
		return ev, 0
	}
	ev.Records = l.ready[:n:n]
	return ev, n
}

// received notes that the member has the next n steps.
func (l *lane) received(n int) {
	if len(l.ready) == 0 { // a gap: the member decides when it is behind it
		l.out = append(l.out, l.ahead.steps[0].gapTo-1)
		l.ahead.done(load{}, n)
		return
	}
	for i := range l.ready[:n] {
		if pos := l.ready[i].Pos; pos >= l.committed {
			l.out = append(l.out, pos)
		}
	}
	l.ready = l.ready[n:]
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
	if len(l.ahead.steps) > 0 || l.opening || len(l.ready) > 0 || len(l.out) > 0 && l.out[len(l.out)-1] >= low {
		return low
	}
	return max(low, l.fetched)
}

// full and roomy say when the feed pauses and goes on.
func (l *lane) full() bool {
	return l.ahead.waiting.records >= aheadRecords || l.ahead.waiting.bytes >= aheadBytes
}

func (l *lane) roomy() bool {
	return l.ahead.waiting.records <= aheadRecords/2 && l.ahead.waiting.bytes <= aheadBytes/2
}
