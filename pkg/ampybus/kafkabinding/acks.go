package kafkabinding

import "sync"

// acks are records of which the client has said what became of them. It calls
// back for one after the other in its one goroutine, so there a record is only
// noted: those of an answer are settled together and beside the client, and what
// comes next for their keys goes out together.
type acks struct {
	mu       sync.Mutex
	noted    []*sending
	spare    []*sending // what was settled last, to be used again
	settling bool       // somebody settles what is noted
}

// settledAtOnce bounds how long the records of others are held back.
const settledAtOnce = 64

func (a *acks) note(s *sending, box *outbox) {
	a.mu.Lock()
	a.noted = append(a.noted, s)
	begin := !a.settling
	a.settling = true
	a.mu.Unlock()
	if begin {
		go a.settle(box)
	}
}

func (a *acks) settle(box *outbox) {
	n := 0
	box.hold()
	for batch := a.take(); len(batch) > 0; batch = a.take() {
		for _, s := range batch {
			s.settle()
			if n++; n%settledAtOnce == 0 {
				box.release()
				box.hold()
			}
		}
		clear(batch)
	}
	box.release()
}

// take is what was noted; with nothing the settling has ended.
func (a *acks) take() []*sending {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settling = len(a.noted) > 0
	if !a.settling {
		return nil
	}
	batch := a.noted
	a.noted, a.spare = a.spare[:0], batch
	return batch
}
