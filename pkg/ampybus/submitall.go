package ampybus

import "github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"

// begun is a key that was idle, and is busy for who sends its first batch.
type begun struct {
	s *pipelineShard
	q *keyQueue
}

// submitAll queues rs before it sends any of them: records of one key go as one
// batch, and the transport gets all at once. The caller holds their shares of
// the budget.
func (p *pipeline) submitAll(rs []*pending) {
	if len(rs) == 0 {
		return
	}
	var mine []begun
	for _, r := range rs {
		s := p.shard(r.rec.Key)
		if q := s.put(r); q != nil {
			mine = append(mine, begun{s, q})
		}
	}
	if h, ok := p.t.(driver.Holder); ok && len(mine) > 1 {
		h.Hold()
		defer h.Release()
	}
	for _, x := range mine {
		x.s.mu.Lock()
		f := p.take(x.s, x.q)
		x.s.mu.Unlock()
		p.send(f)
	}
}

// put queues r, and returns the queue if the caller is to send its next batch.
func (s *pipelineShard) put(r *pending) *keyQueue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, idle := s.enqueue(r)
	if !idle {
		return nil
	}
	q.busy = true
	return q
}
