package ampybus

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// TraceContext is a W3C trace context: where in a distributed trace a message
// was published. The zero value is no trace. SpanID is zero when a peer sent
// only a trace id.
type TraceContext struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte
}

const (
	traceparentLen = 55
	flagSampled    = 1
)

// NewTrace starts a sampled trace.
func NewTrace() TraceContext {
	t := TraceContext{Flags: flagSampled}
	for t.TraceID == [16]byte{} {
		binary.LittleEndian.PutUint64(t.TraceID[:8], rand.Uint64())
		binary.LittleEndian.PutUint64(t.TraceID[8:], rand.Uint64())
	}
	return t.Child()
}

// Child is a new span of the same trace.
func (t TraceContext) Child() TraceContext {
	t.SpanID = [8]byte{}
	for t.SpanID == [8]byte{} {
		binary.LittleEndian.PutUint64(t.SpanID[:], rand.Uint64())
	}
	return t
}

// IsZero reports that there is no trace.
func (t TraceContext) IsZero() bool { return t.TraceID == [16]byte{} }

// TraceIDString is the trace id as 32 lower-case hexadecimal digits.
func (t TraceContext) TraceIDString() string { return hex.EncodeToString(t.TraceID[:]) }

// SpanIDString is the span id as 16 lower-case hexadecimal digits.
func (t TraceContext) SpanIDString() string { return hex.EncodeToString(t.SpanID[:]) }

// Traceparent is the W3C header value, version 00.
func (t TraceContext) Traceparent() string { return string(t.appendTraceparent(nil)) }

func (t TraceContext) appendTraceparent(b []byte) []byte {
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, t.TraceID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, t.SpanID[:])
	b = append(b, '-')
	return hex.AppendEncode(b, []byte{t.Flags})
}

// ParseTraceparent reads a W3C traceparent, of a later version too, as the
// recommendation says: the first 55 characters decide. Upper case, version ff
// and ids of zeros only are refused. The error is a *FieldError for field
// "traceparent".
func ParseTraceparent(s string) (TraceContext, error) {
	t, problem := parseTraceparent(s)
	if problem != "" {
		return TraceContext{}, &FieldError{Field: HeaderTraceparent, Value: s, Problem: problem, Fix: "write 00-<32 hex>-<16 hex>-<2 hex> in lower case"}
	}
	return t, nil
}

func parseTraceparent(s string) (t TraceContext, problem string) {
	if len(s) < traceparentLen || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return t, "not of the form version-traceid-spanid-flags"
	}
	var version, flags [1]byte
	if !unhexLower(version[:], s[0:2]) || !unhexLower(t.TraceID[:], s[3:35]) ||
		!unhexLower(t.SpanID[:], s[36:52]) || !unhexLower(flags[:], s[53:55]) {
		return TraceContext{}, "not lower-case hexadecimal"
	}
	switch {
	case version[0] == 0xff:
		return TraceContext{}, "version ff is forbidden"
	case version[0] == 0 && len(s) != traceparentLen, len(s) > traceparentLen && s[traceparentLen] != '-':
		return TraceContext{}, "too long"
	case t.TraceID == [16]byte{}:
		return TraceContext{}, "trace id of zeros only"
	case t.SpanID == [8]byte{}:
		return TraceContext{}, "span id of zeros only"
	}
	t.Flags = flags[0]
	return t, ""
}
