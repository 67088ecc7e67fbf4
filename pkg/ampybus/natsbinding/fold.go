package natsbinding

import (
	"bytes"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// foldedConn shows the client library the records of pulls as records without
// headers: the header block becomes the beginning of the value, and the library
// makes no map of it. The length of the block takes the place of the first bytes
// of the reply subject, see foldedBytes. No byte is added or taken away, and no
// other message is touched. What is not the protocol in clear, such as TLS, goes
// through as it is.
type foldedConn struct {
	net.Conn
	folds *folds

	held    []byte // the beginning of a line whose end has not come
	payload int    // bytes of the current message still to come
	off     bool   // nothing is looked at any more
}

// foldingDialer makes connections that fold.
type foldingDialer struct {
	net.Dialer
	folds *folds
}

// Dial implements nats.CustomDialer.
func (d *foldingDialer) Dial(network, address string) (net.Conn, error) {
	c, err := d.Dialer.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &foldedConn{Conn: c, folds: d.folds}, nil
}

// Read reads whole lines: half of one would be too late to fold.
func (c *foldedConn) Read(p []byte) (int, error) {
	for {
		c.off = c.off || len(c.held) >= len(p) // no line is so long
		n := copy(p, c.held)
		c.held = c.held[n:]
		if c.off && n > 0 {
			return n, nil
		}
		m, err := c.Conn.Read(p[n:])
		n += m
		if c.off = c.off || err != nil; c.off {
			return n, err
		}
		hold := c.scan(p[:n])
		c.held = append(c.held[:0], p[n-hold:n]...)
		if n > hold || n == 0 {
			return n - hold, nil
		}
	}
}

// scan folds what is in b, and returns how many bytes at its end are to wait for
// the rest of their line.
func (c *foldedConn) scan(b []byte) (hold int) {
	for len(b) > 0 && !c.off {
		if c.payload > 0 {
			n := min(c.payload, len(b))
			c.payload -= n
			b = b[n:]
			continue
		}
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 && strings.IndexByte("HMIP+-", b[0]) >= 0 {
			return len(b)
		}
		c.line(b[:end])
		b = b[end:]
	}
	return 0
}

const messageStart, foldableStart = "MSG ", "HMSG "

// line looks at a line of the protocol. After one that is none nothing is
// looked at any more.
func (c *foldedConn) line(b []byte) {
	switch {
	case bytes.HasPrefix(b, []byte(foldableStart)), bytes.HasPrefix(b, []byte(messageStart)):
		at := bytes.LastIndexByte(b, ' ')
		size, ok := decimal(bytes.TrimRight(b[at+1:], "\r\n"))
		if c.off = !ok || size > maxMessage; c.off {
			return
		}
		c.payload = int(size) + len("\r\n")
		if b[0] == 'H' {
			c.folds.fold(b[:at])
		}
	case len(b) == 0 || strings.IndexByte("IP+-", b[0]) < 0:
		c.off = true
	}
}

// maxMessage is far above the most that a server may be set to take: 64 MiB.
const maxMessage = 1 << 30

// folds names the consumers whose records are folded. The zero value is ready.
type folds struct {
	mu    sync.Mutex
	names atomic.Pointer[map[string]int] // stream.consumer to its pulls; never changed in place
}

func (f *folds) add(name string)    { f.change(name, 1) }
func (f *folds) remove(name string) { f.change(name, -1) }

func (f *folds) change(name string, by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := make(map[string]int)
	if now := f.names.Load(); now != nil {
		maps.Copy(next, *now)
	}
	if next[name] += by; next[name] <= 0 {
		delete(next, name)
	}
	f.names.Store(&next)
}

func (f *folds) has(name []byte) bool {
	names := f.names.Load()
	return names != nil && (*names)[string(name)] > 0
}
