package natsbinding

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Headers that begin so are instructions to the server, such as Nats-Rollup,
// which deletes: nobody may send them through us, and none is delivered.
const serverHeaderPrefix = "Nats-"

// maxHeaderBytes is JetStream's own limit for a record's headers.
const maxHeaderBytes = 65_535

// form is an outgoing message that is used again and again. Its header map
// stays as it is while records have the same header names in the same order;
// only the values change. Building the map anew costs 1 µs for 12 headers.
type form struct {
	msg    nats.Msg
	names  []string
	values []string
	plain  bool // names are all different: each has its place in values
}

var forms = sync.Pool{New: func() any { return new(form) }}

// fill puts a record into the form. extra are headers of the driver's own.
func (f *form) fill(r *driver.Record, extra ...driver.Header) error {
	if err := checkValues(r.Headers); err != nil {
		return err
	}
	if !f.fits(r.Headers, extra) {
		if err := f.rebuild(r.Headers, extra); err != nil {
			return err
		}
	}
	if f.plain {
		n := 0
		for _, h := range r.Headers {
			f.values[n] = h.Value
			n++
		}
		for _, h := range extra {
			f.values[n] = h.Value
			n++
		}
	}
	f.msg.Subject, f.msg.Data = r.Topic, r.Value
	return nil
}

func (f *form) fits(a, b []driver.Header) bool {
	if !f.plain || len(f.names) != len(a)+len(b) {
		return false
	}
	for i := range a {
		if f.names[i] != a[i].Name {
			return false
		}
	}
	for i := range b {
		if f.names[len(a)+i] != b[i].Name {
			return false
		}
	}
	return true
}

func (f *form) rebuild(a, b []driver.Header) error {
	if err := checkNames(a); err != nil {
		f.plain = false
		return err
	}
	n := len(a) + len(b)
	f.names, f.values = make([]string, 0, n), make([]string, n)
	f.msg.Header = make(nats.Header, n)
	f.plain = true
	for _, h := range slices.Concat(a, b) {
		if _, twice := f.msg.Header[h.Name]; twice {
			f.plain = false
		}
		i := len(f.names)
		f.names = append(f.names, h.Name)
		f.values[i] = h.Value
		f.msg.Header[h.Name] = append(f.msg.Header[h.Name], f.values[i:i+1:i+1]...)
		if f.plain {
			f.msg.Header[h.Name] = f.values[i : i+1 : i+1]
		}
	}
	return nil
}

// done lets go of the record and gives the form back.
func (f *form) done() {
	clear(f.values)
	if !f.plain {
		f.msg.Header = nil
	}
	f.msg.Subject, f.msg.Reply, f.msg.Data = "", "", nil
	forms.Put(f)
}

func checkNames(hs []driver.Header) error {
	for i := range hs {
		if err := checkName(hs[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// checkName refuses what NATS would refuse or obey.
func checkName(name string) error {
	if name == "" {
		return fmt.Errorf("header with an empty name")
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == ':' || c >= 0x7f {
			return fmt.Errorf("header %q: NATS cannot carry this name", name)
		}
	}
	if len(name) >= len(serverHeaderPrefix) && strings.EqualFold(name[:len(serverHeaderPrefix)], serverHeaderPrefix) {
		return fmt.Errorf("header %q: names that begin with Nats- are reserved", name)
	}
	return nil
}

// checkValues refuses values that the client would change without a word, and
// a block that the server would refuse.
func checkValues(hs []driver.Header) error {
	size := len("NATS/1.0\r\n\r\n")
	for i := range hs {
		v := hs[i].Value
		size += len(hs[i].Name) + len(v) + len(": \r\n")
		if v == "" || mutant.On("trim-headers") {
			continue
		}
		if isBlank(v[0]) || isBlank(v[len(v)-1]) || strings.IndexByte(v, '\n') >= 0 || strings.IndexByte(v, '\r') >= 0 {
			return fmt.Errorf("header %q: NATS would change this value (blanks at an end, or a line break)", hs[i].Name)
		}
	}
	if size > maxHeaderBytes {
		return fmt.Errorf("%w: %d bytes of headers, JetStream takes %d", driver.ErrTooLarge, size, maxHeaderBytes)
	}
	return nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
