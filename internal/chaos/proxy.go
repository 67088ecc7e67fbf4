package chaos

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Proxy stands between clients and one server, and breaks what passes.
type Proxy struct {
	listener net.Listener
	target   string
	up, down *flow // client to server, server to client
	work     sync.WaitGroup

	mu     sync.Mutex
	links  map[*link]struct{}
	stats  Stats
	closed bool
}

// Stats counts what a proxy has done.
type Stats struct {
	Links  int // connections made
	Resets int // connections broken by Reset
	Cuts   int // connections broken by Shape.CutAfter
	Halves int // connections closed one way by HalfClose
}

// Direction is one way through a proxy.
type Direction int

// The two ways.
const (
	Up   Direction = iota // client to server
	Down                  // server to client
)

// link is one connection through the proxy.
type link struct{ client, server *net.TCPConn }

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// reset breaks both sides with RST instead of FIN.
func (l *link) reset() {
	_ = l.client.SetLinger(0)
	_ = l.server.SetLinger(0)
	l.close()
}

// StartProxy forwards to target ("host:port") until the test ends.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, up: newFlow(), down: newFlow(), links: make(map[*link]struct{})}
	p.work.Go(p.accept)
	tb.Cleanup(p.Close)
	return p
}

// Addr is where clients connect, "host:port".
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Shape changes how bytes pass one way, on present and future connections.
func (p *Proxy) Shape(d Direction, s Shape) { p.flow(d).set(s) }

// Blackhole keeps everything back, both ways, until heal is called: as when
// packets are dropped and TCP sends them again later.
func (p *Proxy) Blackhole() (heal func()) {
	p.Shape(Up, Shape{Hold: true})
	p.Shape(Down, Shape{Hold: true})
	return p.Heal
}

// Heal lets everything pass as it comes.
func (p *Proxy) Heal() {
	p.Shape(Up, Shape{})
	p.Shape(Down, Shape{})
}

// Reset breaks all connections with RST; new ones pass.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
		p.stats.Resets++
	}
}

// HalfClose ends all connections one way: the receiver sees the end of the
// stream, and can still send.
func (p *Proxy) HalfClose(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		to := l.server
		if d == Down {
			to = l.client
		}
		if to.CloseWrite() == nil {
			p.stats.Halves++
		}
	}
}

// Stats is what the proxy has done so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Close breaks all connections and takes no more.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.close()
	}
	p.mu.Unlock()
	_ = p.listener.Close()
	p.up.finish()
	p.down.finish()
	p.work.Wait()
}

func (p *Proxy) flow(d Direction) *flow {
	if d == Up {
		return p.up
	}
	return p.down
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client, server.(*net.TCPConn)}
	defer l.close()
	if !p.track(l) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, l.server, l.client, p.up) })
	both.Go(func() { p.pump(l, l.client, l.server, p.down) })
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

func (p *Proxy) track(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[l] = struct{}{}
	p.stats.Links++
	return !p.closed
}

func (p *Proxy) cut(l *link) {
	p.mu.Lock()
	p.stats.Cuts++ // before anybody can see the cut
	p.mu.Unlock()
	l.reset()
}
