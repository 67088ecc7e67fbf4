package ampybus

import (
	"encoding/hex"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// ids is the process's own: ids rise across all buses of a process, whatever
// the clock does.
var ids tickClock

// NewID is a UUIDv7 in lower case. Ids rise strictly within the process, also
// when the clock steps back: the 48 bits of milliseconds and the 12 bits below
// them (RFC 9562 §6.2, method 3) are one number that only grows. It may be
// called from several goroutines.
func NewID() string { return newID(time.Now()) }

func newID(now time.Time) string { return formatID(ids.next(now), rand.Uint64()) }

// A tickClock hands out rising timestamps of 60 bits, of which the lower 12 are
// the fraction of the millisecond.
type tickClock struct{ last atomic.Uint64 }

func (c *tickClock) next(now time.Time) uint64 {
	nanos := uint64(now.UnixNano())
	tick := nanos/1_000_000<<12 | nanos%1_000_000*4096/1_000_000
	for {
		last := c.last.Load()
		next := max(tick, last+1)
		if c.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

func formatID(tick, random uint64) string {
	var id [16]byte
	ms := tick >> 12
	id[0], id[1], id[2] = byte(ms>>40), byte(ms>>32), byte(ms>>24)
	id[3], id[4], id[5] = byte(ms>>16), byte(ms>>8), byte(ms)
	id[6], id[7] = 0x70|byte(tick>>8)&0x0f, byte(tick)
	for i := range 8 {
		id[8+i] = byte(random >> (8 * i))
	}
	id[8] = id[8]&0x3f | 0x80
	return uuidText(id)
}

func uuidText(id [16]byte) string {
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// ID is a UUID in binary: what a dedupe store keeps.
type ID [16]byte

// String is the id as it is written: lower case, with dashes.
func (id ID) String() string { return uuidText(id) }

// Version is the UUID's version.
func (id ID) Version() int { return int(id[6] >> 4) }

// ParseID reads a message id in either case. It accepts version 7, which the
// contract asks for, and version 4, which Python peers of ampy-bus 1.x send;
// ask Version. The error is a *FieldError for field "message_id".
func ParseID(s string) (ID, error) {
	id, _, err := parseID(s)
	return id, err
}

// parseID is ParseID, and says whether s is in lower case.
func parseID(s string) (id ID, lower bool, err error) {
	const fix = "use a UUIDv7 such as NewID makes"
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, false, &FieldError{Field: HeaderMessageID, Value: s, Problem: "no UUID of 36 characters with dashes", Fix: fix}
	}
	lower = id.unhex(&hexLower, s)
	if !lower && !id.unhex(&hexEither, s) {
		return ID{}, false, &FieldError{Field: HeaderMessageID, Value: s, Problem: "not hexadecimal", Fix: fix}
	}
	if v := id.Version(); (v != 7 && v != 4) || id[8]>>6 != 0b10 {
		return ID{}, lower, &FieldError{Field: HeaderMessageID, Value: s, Problem: "no UUID of version 7", Fix: fix}
	}
	return id, lower, nil
}

func (id *ID) unhex(values *[256]byte, s string) bool {
	return unhexWith(values, id[0:4], s[0:8]) && unhexWith(values, id[4:6], s[9:13]) && unhexWith(values, id[6:8], s[14:18]) &&
		unhexWith(values, id[8:10], s[19:23]) && unhexWith(values, id[10:16], s[24:36])
}
