package natsbinding

import (
	"bytes"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// unpacker turns received headers into a list. The client writes and reads them
// as a map, so the order between names is lost; the list is in the order of names.
type unpacker struct {
	names []string // of the message before, in order, the server's own too
}

// headers lists h without the server's own, and returns the publish id.
func (u *unpacker) headers(h nats.Header) (list []driver.Header, id string) {
	if len(h) == 0 {
		return nil, ""
	}
	list, id, ok := u.collect(h)
	if !ok {
		u.names = u.names[:0]
		for name := range h {
			u.names = append(u.names, name)
		}
		slices.Sort(u.names)
		list, id, _ = u.collect(h)
	}
	return list, id
}

// collect lists h in the order of the names of the message before; not ok when
// h has others.
func (u *unpacker) collect(h nats.Header) (list []driver.Header, id string, ok bool) {
	if len(h) != len(u.names) {
		return nil, "", false
	}
	list = make([]driver.Header, 0, len(u.names))
	for _, name := range u.names {
		vs, ok := h[name]
		if !ok {
			return nil, "", false
		}
		if strings.HasPrefix(name, serverHeaderPrefix) {
			if name == nats.MsgIdHdr && len(vs) > 0 {
				id = vs[0]
			}
			continue
		}
		for _, v := range vs {
			list = append(list, driver.Header{Name: name, Value: v})
		}
	}
	return list, id, true
}

// block lists the headers of a block as it came over the wire, see foldedConn.
// What is not as in the message before goes the way of the client's map; what
// the client cannot read has no headers there either.
func (u *unpacker) block(b []byte) (list []driver.Header, id string) {
	if list, id, ok := u.repeated(b); ok {
		return list, id
	}
	h, err := nats.DecodeHeadersMsg(b)
	if err != nil {
		return nil, ""
	}
	return u.headers(h)
}

const blockStart = "NATS/1.0\r\n"

// repeated reads a block that has the names of the message before, each once.
func (u *unpacker) repeated(b []byte) (list []driver.Header, id string, ok bool) {
	if len(u.names) == 0 || len(u.names) > maxRepeated || !bytes.HasPrefix(b, []byte(blockStart)) {
		return nil, "", false
	}
	var values [maxRepeated]string
	if !u.read(string(b[len(blockStart):]), &values) {
		return nil, "", false
	}
	list, id = u.listed(&values)
	return list, id, true
}

// read puts the values of a block where their names have their places. It
// reports whether each of the names is there once, and no other.
func (u *unpacker) read(text string, values *[maxRepeated]string) bool {
	have := uint32(0)
	for {
		line, rest, ok := cutLine(text)
		if !ok {
			return false
		}
		if line == "" {
			return have == 1<<len(u.names)-1
		}
		name, value, named := strings.Cut(line, ":")
		i := slices.Index(u.names, name)
		if !named || i < 0 || have&(1<<i) != 0 {
			return false
		}
		values[i] = strings.TrimLeft(value, " \t")
		have |= 1 << i
		text = rest
	}
}

// cutLine cuts a text behind its first line, which must end as the protocol says.
func cutLine(text string) (line, rest string, ok bool) {
	i := strings.IndexByte(text, '\n')
	if i < 1 || text[i-1] != '\r' {
		return "", "", false
	}
	return text[:i-1], text[i+1:], true
}

// maxRepeated is a few more than the contract's usual headers; below 32, for bits.
const maxRepeated = 24

// listed makes the list of one value for each name.
func (u *unpacker) listed(values *[maxRepeated]string) (list []driver.Header, id string) {
	list = make([]driver.Header, 0, len(u.names))
	for i, name := range u.names {
		switch {
		case !strings.HasPrefix(name, serverHeaderPrefix):
			list = append(list, driver.Header{Name: name, Value: values[i]})
		case name == nats.MsgIdHdr:
			id = values[i]
		}
	}
	return list, id
}
