package brokertest

import (
	"net"
	"sync"
	"testing"
)

// Proxy stands between one client and a server and can break what passes.
type Proxy struct {
	listener net.Listener
	target   string
	up, down valve // client to server, server to client
	work     sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// valve lets bytes through while it is open.
type valve struct {
	mu   sync.Mutex
	cond *sync.Cond
	shut bool
	end  bool
}

// StartProxy forwards to target, host:port, until the test ends.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, conns: make(map[net.Conn]struct{})}
	p.up.cond = sync.NewCond(&p.up.mu)
	p.down.cond = sync.NewCond(&p.down.mu)
	p.work.Go(p.accept)
	tb.Cleanup(p.Close)
	return p
}

// URL is where the client connects.
func (p *Proxy) URL() string { return "nats://" + p.listener.Addr().String() }

// Cut keeps everything back in both directions until Heal; connections stay.
func (p *Proxy) Cut() {
	p.up.set(true)
	p.down.set(true)
}

// CutReplies keeps back what the server sends until Heal.
func (p *Proxy) CutReplies() { p.down.set(true) }

// CutRequests keeps back what the client sends until Heal.
func (p *Proxy) CutRequests() { p.up.set(true) }

// Heal lets everything through, also what was kept back.
func (p *Proxy) Heal() {
	p.up.set(false)
	p.down.set(false)
}

// Reset breaks all connections; new ones pass.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // RST, not FIN
		}
		_ = c.Close()
	}
}

// Close breaks all connections and takes no more.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Reset()
	p.up.finish()
	p.down.finish()
	p.work.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.track(client, server) {
		return
	}
	defer p.forget(client, server)
	var both sync.WaitGroup
	both.Go(func() { pump(server, client, &p.up) })
	both.Go(func() { pump(client, server, &p.down) })
	both.Wait()
}

func (p *Proxy) track(cs ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range cs {
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

func (p *Proxy) forget(cs ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range cs {
		delete(p.conns, c)
	}
}

// pump copies until either side ends, and then ends both.
func pump(to, from net.Conn, v *valve) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !v.wait() {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (v *valve) set(shut bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shut = shut
	v.cond.Broadcast()
}

// wait returns when the valve is open; false when the proxy ends.
func (v *valve) wait() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for v.shut && !v.end {
		v.cond.Wait()
	}
	return !v.end
}

func (v *valve) finish() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.end = true
	v.cond.Broadcast()
}
