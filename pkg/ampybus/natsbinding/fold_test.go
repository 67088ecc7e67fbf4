package natsbinding

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
)

// chopped is a connection that brings a text in pieces of given sizes.
type chopped struct {
	net.Conn
	rest  string
	sizes []int
}

func (p *chopped) Read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, io.EOF
	}
	n := len(p.rest)
	if len(p.sizes) > 0 {
		n, p.sizes = p.sizes[0], p.sizes[1:]
	}
	n = copy(b, p.rest[:min(n, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

// folded is what a client reads of a text, where consumer c of stream S is read.
func folded(t require, text string, buffer int, sizes ...int) string {
	var f folds
	f.add("S.c")
	c := &foldedConn{Conn: &chopped{rest: text, sizes: sizes}, folds: &f}
	var got bytes.Buffer
	for b := make([]byte, buffer); ; {
		n, err := c.Read(b)
		got.Write(b[:n])
		if errors.Is(err, io.EOF) {
			return got.String()
		}
		if err != nil {
			t.Fatalf("read: %v", err)
		}
	}
}

type require interface{ Fatalf(string, ...any) }

func message(start, block, value string) string {
	return fmt.Sprintf("%s %d %d\r\n%s%s\r\n", start, len(block), len(block)+len(value), block, value)
}

const (
	someHeaders = "NATS/1.0\r\na: 1\r\n\r\n"
	someRecord  = "HMSG ampy.x 3 $JS.ACK.S.c.1.70.9.1722.5"
)

// same are texts that reach the client as they are.
var same = []string{
	"INFO {\"server_id\":\"x\"}\r\n", "PING\r\n", "PONG\r\n", "+OK\r\n", "-ERR 'x'\r\n",
	"MSG a 3 2\r\nxy\r\n", "MSG a 3 $JS.ACK.S.c.1.70.9.1722.5 0\r\n\r\n",
	message("HMSG a 3", someHeaders, "xy"),
	"HMSG 2\r\nxy\r\n", "HMSG  2\r\nxy\r\n",
	message("HMSG a 3 _INBOX.x", someHeaders, "xy"),
	message("HMSG a 3 $JS.ACK.S.other.1.70.9.1722.5", someHeaders, "xy"),
	message("HMSG a 3 $JS.ACK.S", someHeaders, "xy"),
	message("HMSG a 3 $JS.ACK.S.c.1.70.9.1722.5", someHeaders+strings.Repeat("x", maxFolded), ""),
	"MSG a 3 " + fmt.Sprint(len(message(someRecord, someHeaders, "xy"))) + "\r\n" + message(someRecord, someHeaders, "xy") + "\r\n",
}

// changed are records of a pull, and what the client sees of them.
var changed = [][2]string{
	{message(someRecord, someHeaders, "xy"), "HMSG ampy.x 3 !00.018.S.c.1.70.9.1722.5 00 20\r\n" + someHeaders + "xy\r\n"},
	{message("HMSG a 17 $JS.ACK.hub.acc.S.c.1.7.9.2.5.r", someHeaders, ""), "HMSG a 17 !00.018.hub.acc.S.c.1.7.9.2.5.r 00 18\r\n" + someHeaders + "\r\n"},
	{message(someRecord, "NATS/1.0\r\n\r\nb: hidden\r\n\r\n", "v"), "HMSG ampy.x 3 !00.025.S.c.1.70.9.1722.5 00 26\r\nNATS/1.0\r\n\r\nb: hidden\r\n\r\nv\r\n"},
}

func TestOnlyRecordsOfPullsAreFoldedHoweverTheyAreCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in, want strings.Builder
		for range rapid.IntRange(1, 8).Draw(t, "messages") {
			if rapid.Bool().Draw(t, "record") {
				c := rapid.SampledFrom(changed).Draw(t, "changed")
				in.WriteString(c[0])
				want.WriteString(c[1])
				continue
			}
			s := rapid.SampledFrom(same).Draw(t, "same")
			in.WriteString(s)
			want.WriteString(s)
		}
		sizes := rapid.SliceOf(rapid.IntRange(1, 60)).Draw(t, "sizes")
		if got := folded(t, in.String(), 256, sizes...); got != want.String() {
			t.Fatalf("pieces of %v:\n got %q\nwant %q", sizes, got, want.String())
		}
	})
}

func TestWhatIsNotTheProtocolGoesThroughAtOnce(t *testing.T) {
	record := message(someRecord, someHeaders, "xy")
	for name, start := range map[string]string{
		"TLS":         "\x16\x03\x03\x00\x31",
		"a websocket": "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"a long line": "INFO " + strings.Repeat("x", 300),
		"no size":     "MSG a 3 x\r\n",
		"huge":        "MSG a 3 99999999999\r\n",
	} {
		if got := folded(t, start+record, 256); got != start+record {
			t.Errorf("%s: got %q", name, got)
		}
	}
	// Nothing may wait for more: the other side is waiting too.
	mine, other := net.Pipe()
	defer other.Close()
	go func() { _, _ = other.Write([]byte("\x16\x03\x03\x00\x31")) }()
	c := &foldedConn{Conn: mine, folds: new(folds)}
	_ = mine.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 256)); n != 5 || err != nil {
		t.Errorf("the beginning of TLS: %d bytes, %v", n, err)
	}
}

func TestAFoldedReceiptSaysHowLongTheHeadersAre(t *testing.T) {
	got, err := parseReceipt("!00.320.S.c.2.70.9.1722.5")
	want := receipt{prefix: "!00.320.S.c", times: 2, pos: 70, seq: 9, stored: 1722, pending: 5, folded: 320}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	p := &puller{prefix: got.prefix}
	if got := p.ackPrefix(); got != "$JS.ACK.S.c" {
		t.Errorf("acknowledgements go to %s", got)
	}
	for _, reply := range []string{"!", "!00.320", "!00.32x.S.c.2.70.9.1722.5", "!00x320.S.c.2.70.9.1722.5", "!00.320xS.c.2.70.9.1722.5"} {
		if r, err := parseReceipt(reply); err == nil {
			t.Errorf("%q was read as %+v", reply, r)
		}
	}
}

// What the client library makes of a block is what is meant.
func FuzzFoldedHeadersReadAsTheLibraryReadsThem(f *testing.F) {
	first := "NATS/1.0\r\nb: 1\r\na: 2\r\nNats-Msg-Id: x\r\n\r\n"
	for _, s := range []string{
		first, "NATS/1.0\r\na: 3\r\nNats-Msg-Id: y\r\nb:  4 \r\n\r\n", "NATS/1.0\r\na: 3\r\nb: 4\r\n\r\n",
		"NATS/1.0\r\na: 3\r\na: 4\r\nNats-Msg-Id: y\r\n\r\n", "NATS/1.0 503\r\nb: 1\r\na: 2\r\nNats-Msg-Id: x\r\n\r\n",
		"NATS/1.0\r\nb: 1\r\na: 2\nNats-Msg-Id: x\r\n\r\n", "NATS/1.0\r\nb: 1\r\r\na:\r\nNats-Msg-Id:\t\r\n\r\n", "NATS/1.0\r\n\r\n",
		"NATS/1.0\r\nb\r\na: 2\r\nNats-Msg-Id: x\r\n\r\n", "NATS/1.0\r\nb: 1\r\na: 2\r\nNats-Msg-Id: x\r\n", "",
		"NATS/1.0\r\nb: 1\r\na: 2\r\nNats-Msg-Id: x\r\n\r\nb: 2\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var u, plain unpacker
		u.block([]byte(first))
		h, _ := nats.DecodeHeadersMsg(b)
		want, wantID := plain.headers(h)
		for range 2 { // with the names of another, and with its own
			if got, id := u.block(b); fmt.Sprint(got) != fmt.Sprint(want) || id != wantID {
				t.Fatalf("%q: got %v and id %q, the library reads %v and %q", b, got, id, want, wantID)
			}
		}
	})
}

func TestRepeatedHeadersAreReadWithTwoAllocations(t *testing.T) {
	b := []byte("NATS/1.0\r\nb: 1\r\na: 2\r\nNats-Msg-Id: x\r\n\r\n")
	var u unpacker
	u.block(b)
	if n := testing.AllocsPerRun(1000, func() { u.block(b) }); n != 2 {
		t.Errorf("%v allocations for the headers of a message, want the text and the list", n)
	}
}

func TestTheLibraryMakesNoMapOfARecordsHeaders(t *testing.T) {
	tr := dial(t, Config{URL: brokertest.Start(t).URL()})
	publishOne(t, tr, "1")
	stream, err := tr.js.Stream(t.Context(), "AMPY_DEV_ORDERS")
	if err != nil {
		t.Fatal(err)
	}
	for _, fold := range []bool{true, false} {
		if fold {
			tr.folds.add("AMPY_DEV_ORDERS.c")
		} else {
			tr.folds.remove("AMPY_DEV_ORDERS.c")
		}
		c, err := stream.CreateOrUpdateConsumer(t.Context(), jetstream.ConsumerConfig{Name: "c", AckPolicy: jetstream.AckNonePolicy})
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Headers() == nil; got != fold {
			t.Errorf("folded: %v, want %v: headers %v, data %q", got, fold, m.Headers(), m.Data())
		}
		if err := stream.DeleteConsumer(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
	}
}
