package chaos

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// echo serves connections that send everything back, until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.(*net.TCPConn).CloseWrite()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// exchange sends a message and reads it back.
func exchange(t *testing.T, c net.Conn, n int) {
	t.Helper()
	out := bytes.Repeat([]byte("x"), n)
	if _, err := c.Write(out); err != nil {
		t.Fatal(err)
	}
	in := make([]byte, n)
	if _, err := io.ReadFull(c, in); err != nil || !bytes.Equal(in, out) {
		t.Fatalf("read %v", err)
	}
}

func TestBytesPassUnchangedHoweverTheyAreShaped(t *testing.T) {
	for name, s := range map[string]Shape{
		"as they come": {},
		"one by one":   {Slice: 1},
		"late":         {Delay: 5 * time.Millisecond, Jitter: 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			p := StartProxy(t, echo(t))
			p.Shape(Up, s)
			p.Shape(Down, s)
			c := dial(t, p)
			start := time.Now()
			for range 5 {
				exchange(t, c, 3000)
			}
			if s.Delay > 0 && time.Since(start) < 5*time.Millisecond {
				t.Error("nothing was delayed")
			}
		})
	}
}

func TestAResetIsSeenAsSuch(t *testing.T) {
	p := StartProxy(t, echo(t))
	c := dial(t, p)
	exchange(t, c, 10)
	p.Reset()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %v, want a reset", err)
	}
	exchange(t, dial(t, p), 10)
	if s := p.Stats(); s.Resets != 1 || s.Links != 2 {
		t.Errorf("%+v", s)
	}
}

func TestABlackholeKeepsBytesBackUntilItIsHealed(t *testing.T) {
	p := StartProxy(t, echo(t))
	c := dial(t, p)
	exchange(t, c, 10)
	heal := p.Blackhole()
	if _, err := c.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 4)); n != 0 || err == nil {
		t.Fatalf("%d bytes passed a black hole", n)
	}
	_ = c.SetReadDeadline(time.Time{})
	heal()
	in := make([]byte, 4)
	if _, err := io.ReadFull(c, in); err != nil || string(in) != "late" {
		t.Errorf("after healing: %q, %v", in, err)
	}
}

func TestACutHitsTheMiddleOfWhatIsSent(t *testing.T) {
	p := StartProxy(t, echo(t))
	p.Shape(Down, Shape{CutAfter: 7})
	c := dial(t, p)
	if _, err := c.Write([]byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	in := make([]byte, 10)
	n, err := io.ReadFull(c, in)
	if n > 7 || err == nil {
		t.Errorf("%d bytes, %v: want at most 7", n, err)
	}
	exchange(t, dial(t, p), 100)
	if s := p.Stats(); s.Cuts != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAHalfCloseEndsOneWayOnly(t *testing.T) {
	p := StartProxy(t, echo(t))
	c := dial(t, p)
	exchange(t, c, 10)
	p.HalfClose(Down)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read %v, want the end", err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("write: %v", err)
	}
	if s := p.Stats(); s.Halves != 1 {
		t.Errorf("%+v", s)
	}
}
