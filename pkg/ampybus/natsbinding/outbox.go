package natsbinding

import (
	"runtime"
	"sync"
)

// outbox hands what many goroutines publish at the same time to the client in
// one go. The client writes to its socket as soon as whoever published waits for
// the answer: callers who each send by themselves cost a system call per record,
// there and at the server.
type outbox struct {
	mu      sync.Mutex
	waiting []outgoing
	spare   []outgoing // what was sent last, to be used again
	sending bool       // somebody sends what waits
}

// outgoing is n records of p from i on, for l.
type outgoing struct {
	p    *publication
	l    *log
	i, n int
}

func (o *outbox) add(x outgoing) {
	o.mu.Lock()
	o.waiting = append(o.waiting, x)
	begin := !o.sending
	o.sending = true
	o.mu.Unlock()
	if begin {
		go o.send()
	}
}

func (o *outbox) send() {
	runtime.Gosched() // let those publish who can at this moment
	for batch := o.take(); batch != nil; batch = o.take() {
		for _, x := range batch {
			x.p.sendNow(x.l, x.i, x.n)
		}
		clear(batch)
	}
}

// take is what waits; nil ends the sending.
func (o *outbox) take() []outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		o.sending = false
		return nil
	}
	batch := o.waiting
	o.waiting, o.spare = o.spare[:0], batch
	return batch
}
