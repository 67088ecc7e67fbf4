package kafkabinding

import "github.com/AmpyFin/ampy-bus/internal/handoff"

// acks are records of which the client has said what became of them. It calls
// back for one after the other in its one goroutine, so there a record is only
// noted: those of an answer are settled together and beside the client, and what
// comes next for their keys goes out together.
type acks struct{ noted handoff.Queue[*sending] }

// settledAtOnce bounds how long the records of others are held back.
const settledAtOnce = 64

func (a *acks) note(s *sending, box *outbox) {
	if a.noted.Add(s) {
		go a.settle(box)
	}
}

func (a *acks) settle(box *outbox) {
	n := 0
	box.hold()
	for batch := a.noted.Take(); batch != nil; batch = a.noted.Take() {
		for _, s := range batch {
			s.settle()
			if n++; n%settledAtOnce == 0 {
				box.release()
				box.hold()
			}
		}
	}
	box.release()
}
