package ampybus

import (
	"strconv"
	"strings"
)

func (d *decoder) identity(h *Headers) {
	h.MessageID = d.raw[fMessageID]
	if h.MessageID != "" {
		d.messageID(h)
	}
	if v := d.raw[fProducedAt]; v != "" {
		t, zulu, problem := parseTime(v)
		if problem != "" {
			d.fault(fProducedAt, v, problem, "write RFC 3339 in UTC with Z")
		} else if !zulu {
			d.lint(fProducedAt, "UTC written as an offset instead of Z")
		}
		h.ProducedAt = t
	}
	h.Producer, h.Source, h.RunID = d.raw[fProducer], d.raw[fSource], d.raw[fRunID]
	h.Topic = d.raw[fTopic]
	h.PartitionKey, h.DedupeKey = d.raw[fPartitionKey], d.raw[fDedupeKey]
	for _, f := range [...]field{fPartitionKey, fDedupeKey} {
		if n := len(d.raw[f]); n > keyValue {
			d.fault(f, "", strconv.Itoa(n)+" bytes, the limit is "+strconv.Itoa(keyValue), "use a shorter key, such as a hash")
		}
	}
}

func (d *decoder) messageID(h *Headers) {
	id, lower, err := parseID(h.MessageID)
	if err != nil {
		d.errs = append(d.errs, err)
		return
	}
	d.id = id
	if id.Version() != 7 {
		d.lint(fMessageID, "UUIDv4 instead of UUIDv7")
	}
	if !lower {
		d.lint(fMessageID, "upper case")
		h.MessageID = strings.ToLower(h.MessageID)
	}
}

func (d *decoder) schema(h *Headers) {
	h.SchemaFQDN, h.SchemaVersion, h.SchemaHash = CanonicalSchema(d.raw[fSchemaFQDN]), d.raw[fSchemaVersion], d.raw[fSchemaHash]
	if h.SchemaFQDN != d.raw[fSchemaFQDN] {
		d.lint(fSchemaFQDN, d.raw[fSchemaFQDN]+" read as "+h.SchemaFQDN)
	}
	if h.SchemaFQDN != "" && !isFullName(h.SchemaFQDN) {
		d.fault(fSchemaFQDN, h.SchemaFQDN, "no full name of a protobuf type", "write a name such as ampy.bars.v1.BarBatch")
	}
	if h.SchemaVersion != "" && !isSemver(h.SchemaVersion) {
		d.fault(fSchemaVersion, h.SchemaVersion, "not major.minor.patch", "write a version such as 1.0.0")
	}
	if h.SchemaHash != "" && schemaHashForm(h.SchemaHash) == hashUnknown {
		d.lint(fSchemaHash, "unknown form, not compared")
	}
}

func (d *decoder) content(h *Headers) {
	h.ContentType, h.ContentEncoding, h.PayloadHash = d.raw[fContentType], d.raw[fContentEncoding], d.raw[fPayloadHash]
	switch h.ContentType {
	case ContentTypeProtobuf, ContentTypeJSON:
	case "":
		h.ContentType = ContentTypeProtobuf
		d.lint(fContentType, "missing, read as "+ContentTypeProtobuf)
	default:
		d.fault(fContentType, h.ContentType, "unknown content type", "write "+ContentTypeProtobuf)
	}
	if h.ContentEncoding != "" && h.ContentEncoding != EncodingGzip {
		d.coded(fContentEncoding, CodeEncoding, h.ContentEncoding, "unknown content encoding", "write gzip, or leave it away")
	}
	if h.PayloadHash != "" && !isSHA256(h.PayloadHash) {
		d.coded(fPayloadHash, CodePayloadHash, h.PayloadHash, "not sha256: and 64 hexadecimal digits", "hash the payload before compression")
	}
}

// trace reads the trace that a peer sent in any of the known ways, or starts
// one: a faulty trace never stops a message (W3C Trace Context §2.2).
func (d *decoder) trace(h *Headers) {
	if v := d.raw[fTraceparent]; v != "" {
		t, problem := parseTraceparent(v)
		if problem == "" {
			h.Trace = t
			return
		}
		d.lint(fTraceparent, "dropped: "+problem)
	}
	if v := d.raw[fTraceID]; len(v) >= traceparentLen {
		if t, problem := parseTraceparent(v); problem == "" {
			d.lint(fTraceID, "holds a traceparent")
			h.Trace = t
			return
		}
	} else if t, ok := bareTrace(v, d.raw[fSpanID]); ok {
		d.lint(fTraceID, "without traceparent")
		h.Trace = t
		return
	}
	d.lint(fTraceparent, "no usable trace, a new one begins")
	h.Trace = NewTrace()
}

// bareTrace reads ids that come without a traceparent. An unusable span id
// leaves SpanID zero.
func bareTrace(traceID, spanID string) (t TraceContext, ok bool) {
	if len(traceID) != 32 || !unhex(t.TraceID[:], traceID) || t.IsZero() {
		return TraceContext{}, false
	}
	t.Flags = flagSampled
	if len(spanID) != 16 || !unhex(t.SpanID[:], spanID) {
		t.SpanID = [8]byte{}
	}
	return t, true
}

func (d *decoder) counters(h *Headers) {
	v := d.raw[fRetryCount]
	if v == "" {
		return
	}
	n, ok := parseCount(v, MaxRetryCount)
	switch {
	case !ok:
		d.fault(fRetryCount, v, "not a whole number from 0, without sign and leading zeros", "write the number of earlier publishes")
	case n == MaxRetryCount:
		d.lint(fRetryCount, "read as the maximum")
	}
	h.RetryCount = int(n)
}

// parseCount reads a decimal number without sign or leading zeros. A number
// over most is read as most.
func parseCount(s string, most int64) (n int64, ok bool) {
	if s == "" || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n <= most {
			n = 10*n + int64(s[i]-'0')
		}
	}
	return min(n, most), true
}

func (d *decoder) blob(h *Headers) {
	h.BlobRef, h.BlobHash = d.raw[fBlobRef], d.raw[fBlobHash]
	if h.BlobRef == "" && h.BlobHash == "" && d.raw[fBlobSize] == "" {
		return
	}
	if v := d.raw[fBlobSize]; v != "" {
		var ok bool
		if h.BlobSize, ok = parseCount(v, MaxBlobBytes+1); !ok {
			h.BlobSize = -1 // as bad as any negative size
		}
	}
	if err := checkBlobPointer(h); err != nil {
		d.errs = append(d.errs, err)
	}
}

// deadLetter reads the dlq_ headers. They are for people and for redrive, which
// checks them; nothing in them stops a record.
func (d *decoder) deadLetter(h *Headers) {
	q := &h.DLQ
	q.Reason, q.Topic, q.Group, q.Origin = d.raw[fDLQReason], d.raw[fDLQTopic], d.raw[fDLQGroup], d.raw[fDLQOrigin]
	if v := d.raw[fDLQAttempts]; v != "" {
		n, ok := parseCount(v, MaxRetryCount)
		if !ok {
			d.lint(fDLQAttempts, "no number")
		}
		q.Attempts = int(n)
	}
	if v := d.raw[fDLQAt]; v != "" {
		t, _, problem := parseTime(v)
		if problem != "" {
			d.lint(fDLQAt, problem)
		}
		q.At = t
	}
}

// bridge reads where a bridge took the record from. Nothing in it stops a
// record.
func (d *decoder) bridge(h *Headers) {
	b := &h.Bridge
	b.Path, b.Key = d.raw[fBridgePath], d.raw[fBridgeKey]
	if v := d.raw[fBridgeStoredAt]; v != "" {
		t, _, problem := parseTime(v)
		if problem != "" {
			d.lint(fBridgeStoredAt, problem)
		}
		b.StoredAt = t
	}
}
