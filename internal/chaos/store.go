package chaos

import (
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

// Outcome is what a store made of an effect.
type Outcome int

// Outcomes.
const (
	Applied Outcome = iota + 1
	Repeat          // it had been applied before
	Fenced          // the writer is a former owner of the lane
)

// Store stands for a service's database: in one step it refuses former owners,
// drops repeats, and applies. Effects are noted in the history in the order in
// which they take place. It is safe for concurrent use.
type Store struct {
	h *ampytest.History

	mu      sync.Mutex
	epochs  map[string]uint64
	applied map[string]bool
	counts  map[Outcome]int
	last    string // process of the latest effect
	// Progress counts effects.
	Progress Counter
}

// NewStore returns an empty store whose effects go to h.
func NewStore(h *ampytest.History) *Store {
	return &Store{h: h, epochs: make(map[string]uint64), applied: make(map[string]bool), counts: make(map[Outcome]int)}
}

// Apply applies m for process proc.
func (s *Store) Apply(proc string, m *ampybus.Message) Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.apply(proc, m)
	s.counts[o]++
	return o
}

func (s *Store) apply(proc string, m *ampybus.Message) Outcome {
	if m.Epoch < s.epochs[m.Lane] {
		return Fenced
	}
	s.epochs[m.Lane] = m.Epoch
	if s.applied[m.Headers.MessageID] {
		return Repeat
	}
	s.applied[m.Headers.MessageID] = true
	s.last = proc
	s.h.Effect(proc, m)
	s.Progress.Add(1)
	return Applied
}

// Count is how often there was an outcome.
func (s *Store) Count(o Outcome) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[o]
}

// Last is the process that had the latest effect.
func (s *Store) Last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
