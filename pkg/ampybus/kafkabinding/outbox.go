package kafkabinding

import "sync"

// outbox hands records to the client in the order in which they were added.
// With nothing on its way the client sends the first record that it gets alone,
// in a request of its own, so what is known to come together is held until it is
// complete.
type outbox struct {
	produce func(*sending) // hands one to the client

	mu      sync.Mutex
	waiting []*sending
	spare   []*sending // what was handed over last, to be used again
	holds   int        // who has more to add
	handing bool       // somebody hands over what waits
}

// maxHeld is enough for a request: more is not held back.
const maxHeld = 512

// add returns at once where somebody else hands over, or will. What is added in
// one call goes to the client without anything between that takes time: it could
// give up the first of it meanwhile, and take the rest.
func (o *outbox) add(ss ...*sending) {
	o.mu.Lock()
	o.waiting = append(o.waiting, ss...)
	o.handOver()
}

// hold is followed by release, soon: it holds back the records of others too.
func (o *outbox) hold() {
	o.mu.Lock()
	o.holds++
	o.mu.Unlock()
}

func (o *outbox) release() {
	o.mu.Lock()
	o.holds--
	o.handOver()
}

// handOver gives up the lock, and does the work if nobody does.
func (o *outbox) handOver() {
	if o.handing {
		o.mu.Unlock()
		return
	}
	for batch := o.take(); len(batch) > 0; batch = o.take() {
		o.mu.Unlock()
		for _, s := range batch {
			o.produce(s)
		}
		clear(batch)
		o.mu.Lock()
	}
	o.mu.Unlock()
}

// take is what is to be handed over now. The lock is held.
func (o *outbox) take() []*sending {
	o.handing = len(o.waiting) > 0 && (o.holds == 0 || len(o.waiting) >= maxHeld)
	if !o.handing {
		return nil
	}
	batch := o.waiting
	o.waiting, o.spare = o.spare[:0], batch
	return batch
}
