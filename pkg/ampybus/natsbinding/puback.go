package natsbinding

import (
	"bytes"
	"encoding/json"
	"errors"
)

// pubAck is JetStream's answer to a publish.
type pubAck struct {
	Stream    string    `json:"stream"`
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Count     int       `json:"count"` // of a batch
	Error     *apiError `json:"error"`
}

var errBadAck = errors.New("unreadable acknowledgement")

var (
	ackStreamPrefix = []byte(`{"stream":"`)
	ackSeqPrefix    = []byte(`","seq":`)
	ackDuplicate    = []byte(`,"duplicate": true}`)
	ackDuplicate2   = []byte(`,"duplicate":true}`)
)

// parsePubAck reads an acknowledgement. What the server writes for one stored
// record is read by hand, which is 25 times faster than encoding/json; any
// other form goes through encoding/json. known is a stream name to reuse.
func parsePubAck(b []byte, known string) (pubAck, error) {
	if a, ok := parseShortAck(b, known); ok {
		return a, nil
	}
	var a pubAck
	if err := json.Unmarshal(b, &a); err != nil {
		return pubAck{}, errBadAck
	}
	if a.Error == nil && (a.Stream == "" || a.Seq == 0 && a.Count == 0) {
		return pubAck{}, errBadAck
	}
	return a, nil
}

// parseShortAck reads exactly {"stream":"S","seq":N} and the same with a
// duplicate mark, with a plain stream name.
func parseShortAck(b []byte, known string) (pubAck, bool) {
	rest, ok := bytes.CutPrefix(b, ackStreamPrefix)
	if !ok {
		return pubAck{}, false
	}
	end := bytes.IndexByte(rest, '"')
	if end <= 0 || bytes.IndexByte(rest[:end], '\\') >= 0 {
		return pubAck{}, false
	}
	name := rest[:end]
	rest, ok = bytes.CutPrefix(rest[end:], ackSeqPrefix)
	if !ok {
		return pubAck{}, false
	}
	var a pubAck
	digits := 0
	for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' {
		digits++
	}
	seq, ok := decimal(rest[:digits])
	if !ok || seq == 0 {
		return pubAck{}, false
	}
	a.Seq = seq
	switch rest = rest[digits:]; {
	case len(rest) == 1 && rest[0] == '}':
	case bytes.Equal(rest, ackDuplicate), bytes.Equal(rest, ackDuplicate2):
		a.Duplicate = true
	default:
		return pubAck{}, false
	}
	if string(name) == known {
		a.Stream = known
	} else {
		a.Stream = string(name)
	}
	return a, true
}
