package chaos

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Shape is how bytes pass a proxy one way. The zero value passes them as they
// come.
type Shape struct {
	// Hold keeps bytes back until the shape changes.
	Hold bool
	// Delay holds each piece back for Delay, more or less by up to Jitter;
	// their order is kept.
	Delay, Jitter time.Duration
	// Slice writes at most so many bytes at once. Zero: as they were read.
	Slice int
	// CutAfter resets one connection after so many bytes more, wherever in a
	// frame that is; after that nothing is cut. Zero: never.
	CutAfter int
}

// flow is one way through a proxy, shared by its connections.
type flow struct {
	mu      sync.Mutex
	shape   Shape
	left    int // of CutAfter
	changed chan struct{}
	ended   chan struct{}
	once    sync.Once
}

func newFlow() *flow { return &flow{changed: make(chan struct{}), ended: make(chan struct{})} }

func (f *flow) set(s Shape) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shape, f.left = s, s.CutAfter
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *flow) finish() { f.once.Do(func() { close(f.ended) }) }

// open waits until bytes may pass, and returns how; false when the proxy ends.
func (f *flow) open() (Shape, bool) {
	for {
		f.mu.Lock()
		s, changed := f.shape, f.changed
		f.mu.Unlock()
		if !s.Hold {
			return s, true
		}
		select {
		case <-changed:
		case <-f.ended:
			return s, false
		}
	}
}

// due is when a piece that arrives now may pass.
func (f *flow) due(now time.Time) time.Time {
	f.mu.Lock()
	s := f.shape
	f.mu.Unlock()
	if s.Delay == 0 {
		return now
	}
	d := s.Delay
	if s.Jitter > 0 {
		d += time.Duration(rand.Int64N(2*int64(s.Jitter))) - s.Jitter
	}
	return now.Add(d)
}

// allow takes n bytes off what may pass before a cut, and returns how many of
// them still pass; cut means that the connection is to be reset behind them.
func (f *flow) allow(n int) (pass int, cut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return n, false
	}
	if n < f.left {
		f.left -= n
		return n, false
	}
	n, f.left = f.left, 0
	return n, true
}

// piece is what one read brought.
type piece struct {
	data []byte
	due  time.Time
}

// piecesUnderWay bounds what a slow direction keeps, about 2 MiB.
const piecesUnderWay = 64

// pump copies one way until either side ends, and then ends both.
func (p *Proxy) pump(l *link, to, from *net.TCPConn, f *flow) {
	pieces := make(chan piece, piecesUnderWay)
	gone := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		defer close(gone)
		p.deliver(l, to, f, pieces)
	})
	defer func() {
		close(pieces)
		writer.Wait()
	}()
	for {
		buf := make([]byte, 32<<10)
		n, err := from.Read(buf)
		if n > 0 {
			select {
			case pieces <- piece{buf[:n], f.due(time.Now())}:
			case <-gone:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// deliver writes pieces when they are due.
func (p *Proxy) deliver(l *link, to *net.TCPConn, f *flow, pieces <-chan piece) {
	defer l.close()
	for x := range pieces {
		if !f.pause(time.Until(x.due)) {
			return
		}
		for len(x.data) > 0 {
			shape, ok := f.open()
			if !ok {
				return
			}
			n := len(x.data)
			if shape.Slice > 0 {
				n = min(n, shape.Slice)
			}
			n, cut := f.allow(n)
			if _, err := to.Write(x.data[:n]); err != nil {
				return
			}
			if cut {
				p.cut(l)
				return
			}
			x.data = x.data[n:]
		}
	}
}

func (f *flow) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.ended:
		return false
	}
}
