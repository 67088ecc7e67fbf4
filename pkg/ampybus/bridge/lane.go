package bridge

import "github.com/AmpyFin/ampy-bus/internal/mutant"

// lane is what the bridge knows of one lane that it owns. Records are taken in
// log order and finished in any.
type lane struct {
	name      string
	epoch     uint64
	next      uint64 // behind the newest record taken
	committed uint64
	open      []*slot // taken and not finished, and finished ones behind such
	paused    bool
	stopped   bool // nothing more is taken: it is given away, or lost
}

// slot is one record on its way.
type slot struct {
	lane *lane
	pos  uint64
	done bool
}

// take notes a record. It reports false for one that is known: a source that
// resumes delivers again.
func (l *lane) take(pos uint64) (*slot, bool) {
	if pos < l.next {
		return nil, false
	}
	s := &slot{lane: l, pos: pos}
	l.next = pos + 1
	l.open = append(l.open, s)
	return s, true
}

func (l *lane) finish(s *slot) {
	s.done = true
	n := 0
	for n < len(l.open) && l.open[n].done {
		l.open[n] = nil
		n++
	}
	l.open = l.open[n:]
}

// low is the position below which everything is finished.
func (l *lane) low() uint64 {
	if len(l.open) == 0 || mutant.On("bridge-commits-what-it-took") {
		return l.next
	}
	return l.open[0].pos
}
