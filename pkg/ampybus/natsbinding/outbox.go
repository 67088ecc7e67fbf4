package natsbinding

import (
	"runtime"

	"github.com/AmpyFin/ampy-bus/internal/handoff"
)

// outbox hands what many goroutines publish at the same time to the client in
// one go. The client writes to its socket as soon as whoever published waits for
// the answer: callers who each send by themselves cost a system call per record,
// there and at the server.
type outbox struct{ waiting handoff.Queue[outgoing] }

// outgoing is n records of p from i on, for l.
type outgoing struct {
	p    *publication
	l    *log
	i, n int
}

func (o *outbox) add(x outgoing) {
	if o.waiting.Add(x) {
		go o.send()
	}
}

func (o *outbox) send() {
	runtime.Gosched() // let those publish who can at this moment
	for batch := o.waiting.Take(); batch != nil; batch = o.waiting.Take() {
		for _, x := range batch {
			x.p.sendNow(x.l, x.i, x.n)
		}
	}
}
