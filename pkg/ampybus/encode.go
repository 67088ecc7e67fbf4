package ampybus

import (
	"strconv"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// EncodeHeaders writes h for the wire, in the order of HeaderSpecs and then
// Extra. Empty values are left away. A missing trace or span id is made up, so
// that whoever reads it can continue a trace. It does not validate.
func EncodeHeaders(h Headers) []driver.Header {
	var values [fieldCount]string
	h.strings(&values)
	h.numbers(&values)
	n := len(h.Extra)
	for i := range values {
		if values[i] != "" {
			n++
		}
	}
	hs := make([]driver.Header, 0, n)
	for i := range values {
		if values[i] != "" {
			hs = append(hs, driver.Header{Name: headerSpecs[i].Name, Value: values[i]})
		}
	}
	return append(hs, h.Extra...)
}

func (h *Headers) strings(v *[fieldCount]string) {
	v[fMessageID] = h.MessageID
	v[fTopic] = h.Topic
	v[fSchemaFQDN] = CanonicalSchema(h.SchemaFQDN)
	v[fSchemaVersion] = h.SchemaVersion
	v[fContentType] = h.ContentType
	v[fContentEncoding] = h.ContentEncoding
	v[fProducer] = h.Producer
	v[fSource] = h.Source
	v[fRunID] = h.RunID
	v[fPartitionKey] = h.PartitionKey
	v[fDedupeKey] = h.DedupeKey
	v[fSchemaHash] = h.SchemaHash
	v[fPayloadHash] = h.PayloadHash
	v[fBlobRef] = h.BlobRef
	v[fBlobHash] = h.BlobHash
	v[fDLQReason] = h.DLQ.Reason
	v[fDLQTopic] = h.DLQ.Topic
	v[fDLQGroup] = h.DLQ.Group
	v[fDLQOrigin] = h.DLQ.Origin
	v[fBridgePath] = h.Bridge.Path
	v[fBridgeKey] = h.Bridge.Key
}

// numbers formats everything that is not text into one string and cuts it up:
// one allocation for all.
func (h *Headers) numbers(v *[fieldCount]string) {
	var buf [256]byte
	b := buf[:0]
	var end [fieldCount]int
	mark := func(f field) { end[f] = len(b) }

	if !h.ProducedAt.IsZero() {
		b = appendTime(b, h.ProducedAt)
	}
	mark(fProducedAt)
	b = h.wireTrace().appendTraceparent(b)
	mark(fTraceparent)
	if h.RetryCount != 0 {
		b = strconv.AppendInt(b, int64(h.RetryCount), 10)
	}
	mark(fRetryCount)
	if h.BlobSize != 0 {
		b = strconv.AppendInt(b, h.BlobSize, 10)
	}
	mark(fBlobSize)
	if h.DLQ.Attempts != 0 {
		b = strconv.AppendInt(b, int64(h.DLQ.Attempts), 10)
	}
	mark(fDLQAttempts)
	if !h.DLQ.At.IsZero() {
		b = appendTime(b, h.DLQ.At)
	}
	mark(fDLQAt)
	if !h.Bridge.StoredAt.IsZero() {
		b = appendTime(b, h.Bridge.StoredAt)
	}
	mark(fBridgeStoredAt)

	text, start := string(b), 0
	for _, f := range [...]field{fProducedAt, fTraceparent, fRetryCount, fBlobSize, fDLQAttempts, fDLQAt, fBridgeStoredAt} {
		v[f] = text[start:end[f]]
		start = end[f]
	}
	v[fTraceID] = v[fTraceparent][3:35]
	v[fSpanID] = v[fTraceparent][36:52]
}

// wireTrace is the trace as it goes out: never without ids.
func (h *Headers) wireTrace() TraceContext {
	switch {
	case h.Trace.IsZero():
		return NewTrace()
	case h.Trace.SpanID == [8]byte{}:
		return h.Trace.Child()
	}
	return h.Trace
}
