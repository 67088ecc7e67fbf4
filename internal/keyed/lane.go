package keyed

import "github.com/AmpyFin/ampy-bus/internal/mutant"

// lane is one ordered log with one owner at a time. It is kept when revoked, so
// that its epoch cannot come back.
type lane[T any] struct {
	name     string
	epoch    uint64
	owned    bool
	draining bool
	sealed   bool
	next     uint64 // highest position seen + 1
	top      uint64 // highest position handed out + 1
	span     span
	keys     map[string]*key[T]
	items    int
	bytes    int64
	running  int
}

func newLane[T any](name string) *lane[T] {
	return &lane[T]{name: name, keys: map[string]*key[T]{}}
}

func (l *lane[T]) low() uint64 {
	switch {
	case mutant.On("commit-next"):
		return l.next
	case mutant.On("commit-max"):
		return l.span.maxDone(l.next)
	}
	return l.span.low(l.next)
}

// span holds the positions from the first unfinished one to the last delivered
// one. They arrive in rising order, so the smallest open position is at the
// head of a ring, and no heap is needed.
type span struct {
	slots      []slot // length is a power of two
	head, tail uint64 // sequence numbers; slot = number modulo length
}

type slot struct {
	pos  uint64
	done bool
}

func (s *span) len() uint64 { return s.tail - s.head }

func (s *span) at(seq uint64) *slot { return &s.slots[seq&uint64(len(s.slots)-1)] }

// push appends an open position and returns its sequence number.
func (s *span) push(pos uint64) uint64 {
	if s.len() == uint64(len(s.slots)) {
		s.grow()
	}
	seq := s.tail
	s.tail++
	*s.at(seq) = slot{pos: pos}
	return seq
}

func (s *span) grow() {
	old := *s
	s.slots = make([]slot, max(16, 2*len(old.slots)))
	for seq := old.head; seq != old.tail; seq++ {
		*s.at(seq) = *old.at(seq)
	}
}

// finish marks a position and drops the finished prefix.
func (s *span) finish(seq uint64) {
	s.at(seq).done = true
	for s.head != s.tail && s.at(s.head).done {
		s.head++
	}
}

// low is the first open position, or next when none is open.
func (s *span) low(next uint64) uint64 {
	if s.head == s.tail {
		return next
	}
	return s.at(s.head).pos
}

// maxDone is the wrong answer of auto-commit clients: behind the highest
// finished position. It serves a mutant only.
func (s *span) maxDone(next uint64) uint64 {
	for seq := s.tail; seq != s.head; seq-- {
		if sl := s.at(seq - 1); sl.done {
			return sl.pos + 1
		}
	}
	return s.low(next)
}
