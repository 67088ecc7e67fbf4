package inbox

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// print16 is an identity or the hash of a payload: a full 128 bits, since a
// shorter one would take two orders for one.
type print16 [16]byte

// prints are what a File knows a message by.
type prints struct {
	id, key print16
	hasKey  bool
	payload print16
	retries uint32
}

func printOf(m *ampybus.Message) prints {
	p := prints{payload: hash16(m.Payload), retries: uint32(m.Headers.RetryCount)}
	if u, err := ampybus.ParseID(m.Headers.MessageID); err == nil {
		p.id = print16(u)
	} else {
		p.id = hash16([]byte("id\x00" + m.Headers.MessageID))
	}
	if m.Headers.DedupeKey != "" {
		p.key, p.hasKey = hash16([]byte("key\x00"+m.Topic+"\x00"+m.Headers.DedupeKey)), true
	}
	return p
}

func hash16(b []byte) print16 {
	sum := sha256.Sum256(b)
	return print16(sum[:16])
}

// Kinds of marks in the file.
const (
	markStarted = 1
	markDone    = 2
	markDead    = 3
)

// mark is one line of the file: kind, three zeros, retries, id, payload.
type mark struct {
	kind    byte
	retries uint32
	id      print16
	payload print16
}

const markSize = 40

func (m mark) append(body []byte) []byte {
	body = append(body, m.kind, 0, 0, 0)
	body = binary.LittleEndian.AppendUint32(body, m.retries)
	body = append(body, m.id[:]...)
	return append(body, m.payload[:]...)
}

func readMark(p []byte) (mark, bool) {
	m := mark{
		kind: p[0], retries: binary.LittleEndian.Uint32(p[4:]),
		id: print16(p[8:24]), payload: print16(p[24:40]),
	}
	return m, m.kind >= markStarted && m.kind <= markDead && p[1]|p[2]|p[3] == 0
}

// entry is what is known of an identity.
type entry struct {
	state    byte // markDone, markDead, or neither
	attempts int  // that began and are not known to have ended well
	retries  uint32
	payload  print16
}

// known holds the latest identities, and forgets in the order in which they
// came.
type known struct {
	entries map[print16]*entry
	ring    []print16 // oldest at next once full
	next    int
	limit   int
}

func newKnown(limit int) known {
	return known{entries: make(map[print16]*entry), limit: limit}
}

func (k *known) len() int { return len(k.entries) }

func (k *known) attempts(id print16) int {
	if e := k.entries[id]; e != nil {
		return e.attempts
	}
	return 0
}

// look judges a message that is about to run, and counts the attempt if one
// began before.
func (k *known) look(p prints) (seen ampybus.Seen, begun bool) {
	e := k.entries[p.id]
	if e != nil && (e.state == markDone || e.state == markDead && e.retries >= p.retries) {
		if e.payload != p.payload {
			return ampybus.SeenIDConflict, false
		}
		return ampybus.SeenSame, false
	}
	if first := k.entries[p.key]; p.hasKey && first != nil {
		if first.payload != p.payload {
			return ampybus.SeenKeyConflict, false
		}
		return ampybus.SeenSame, false
	}
	if e == nil || e.attempts == 0 {
		return ampybus.SeenNot, false
	}
	e.attempts++
	return ampybus.SeenNot, true
}

// apply takes in the marks of a body.
func (k *known) apply(body []byte) error {
	if len(body)%markSize != 0 {
		return fmt.Errorf("%d bytes are no marks: %w", len(body), ErrCorrupt)
	}
	for ; len(body) > 0; body = body[markSize:] {
		m, ok := readMark(body)
		if !ok {
			return fmt.Errorf("no mark of a kind that is known: %w", ErrCorrupt)
		}
		k.put(m)
	}
	return nil
}

func (k *known) put(m mark) {
	e := k.entries[m.id]
	if e == nil {
		e = k.make(m.id)
	}
	switch {
	case m.kind == markStarted:
		e.attempts++
	case m.kind == markDone:
		*e = entry{state: markDone, payload: m.payload}
	case m.kind == markDead && e.state != markDone:
		*e = entry{state: markDead, payload: m.payload, retries: max(e.retries, m.retries)}
	}
}

// make adds an identity, and forgets the oldest over the limit.
func (k *known) make(id print16) *entry {
	if len(k.ring) < k.limit {
		k.ring = append(k.ring, id)
	} else {
		delete(k.entries, k.ring[k.next])
		k.ring[k.next] = id
		k.next = (k.next + 1) % k.limit
	}
	e := new(entry)
	k.entries[id] = e
	return e
}

// bodyMarks is how many marks of a rewritten file stand in one frame.
const bodyMarks = 25_000

// bodies says all that is known, oldest first.
func (k *known) bodies() [][]byte {
	var all [][]byte
	var body []byte
	for i := range k.ring {
		id := k.ring[(k.next+i)%len(k.ring)]
		e := k.entries[id]
		if e.state != 0 {
			body = mark{kind: e.state, retries: e.retries, id: id, payload: e.payload}.append(body)
		}
		if e.attempts > 0 {
			body = mark{kind: markStarted, id: id}.append(body)
		}
		if len(body) >= bodyMarks*markSize {
			all, body = append(all, body), nil
		}
	}
	if len(body) > 0 {
		all = append(all, body)
	}
	return all
}
