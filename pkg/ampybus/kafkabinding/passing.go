package kafkabinding

import (
	"context"
	"time"
)

// passEvery is how long a group may seem to be behind on records that it does
// not want.
const passEvery = 500 * time.Millisecond

// passLoop commits past records that the group's pattern does not match, on
// lanes where nothing else comes: a member that finishes nothing commits
// nothing. Without it such a lane would look behind, be read again after each
// restart, and report a gap when retention passes it.
func (s *source) passLoop() {
	tick := time.NewTicker(passEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.passOver()
		case <-s.ctx.Done():
			return
		}
	}
}

// passOver commits all such lanes at once. What the coordinator refuses waits
// for the next time.
func (s *source) passOver() {
	s.mu.Lock()
	owned := s.owned()
	s.mu.Unlock()
	lanes := make(map[place]*lane)
	var ws []write
	for _, l := range owned {
		if !l.writing.TryLock() {
			continue // a commit is under way
		}
		defer l.writing.Unlock()
		s.mu.Lock()
		low := l.beyond(l.committed)
		if low > l.committed && !l.gone {
			ws = append(ws, write{place: l.place, low: low, claim: l.claim})
			lanes[l.place] = l
		}
		s.mu.Unlock()
	}
	if len(ws) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, min(s.c.Lease, apiTimeout))
	defer cancel()
	errs := s.writeOnce(ctx, ws)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range ws {
		if errs[w.place] == nil {
			lanes[w.place].finished(w.low)
		}
	}
}
