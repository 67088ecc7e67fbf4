package ampybus

import (
	"errors"
	"strconv"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// MaxExtraHeaders bounds headers that the contract does not name, when
	// publishing.
	MaxExtraHeaders = 32

	// What is read is bounded more loosely, because others wrote it, but it is
	// bounded: JetStream itself stops at 64 KiB, Kafka does not.
	maxReadHeaders = 256
	maxReadBlock   = 64 << 10

	// MaxRetryCount is what a larger retry_count is read as, so that it never
	// wraps.
	MaxRetryCount = 1<<31 - 1
)

// DecodeHeaders reads headers from the wire in one pass, as the contract says
// and as peers of ampy-bus 1.x write them. The lints name what was read
// leniently. The error joins a *FieldError for each fault; the Headers then
// hold what could be read. What concerns several headers, or the topic too, is
// Envelope.ValidateRead's.
func DecodeHeaders(hs []driver.Header) (Headers, []string, error) {
	var d decoder
	if len(hs) == 0 {
		return d.h, nil, &FieldError{Field: "headers", Problem: "the record has none", Fix: "publish through the bus", Code: "envelope"}
	}
	if d.collect(hs) {
		d.identity()
		d.schema()
		d.content()
		d.trace()
		d.counters()
		d.blob()
		d.deadLetter()
		d.presence()
	}
	return d.h, d.lints, errors.Join(d.errs...)
}

type decoder struct {
	h     Headers
	raw   [fieldCount]string
	lints []string
	errs  []error
}

func (d *decoder) fault(f field, value, problem, fix string) {
	d.errs = append(d.errs, &FieldError{Field: f.String(), Value: value, Problem: problem, Fix: fix})
}

func (d *decoder) coded(f field, code, value, problem, fix string) {
	d.errs = append(d.errs, &FieldError{Field: f.String(), Value: value, Problem: problem, Fix: fix, Code: code})
}

func (d *decoder) lint(f field, text string) { d.lints = append(d.lints, f.String()+": "+text) }

// collect sorts values into raw and Extra. It reports false when the block is
// too large to look at.
func (d *decoder) collect(hs []driver.Header) bool {
	if len(hs) > maxReadHeaders {
		d.errs = append(d.errs, &FieldError{Field: "headers", Problem: strconv.Itoa(len(hs)) + " headers, the limit is " + strconv.Itoa(maxReadHeaders), Fix: "send fewer"})
		return false
	}
	if n := headerBlockBytes(hs); n > maxReadBlock {
		d.errs = append(d.errs, &FieldError{Field: "headers", Problem: strconv.Itoa(n) + " bytes, the limit is " + strconv.Itoa(maxReadBlock), Fix: "put large data into the payload"})
		return false
	}
	for i := range hs {
		f := fieldOf(hs[i].Name)
		if f == fUnknown {
			d.extra(hs[i])
			continue
		}
		d.known(f, hs[i])
	}
	return true
}

func (d *decoder) known(f field, x driver.Header) {
	switch {
	case x.Value == "":
		return
	case d.raw[f] == x.Value:
		d.lint(f, "sent twice")
		return
	case d.raw[f] != "":
		d.coded(f, "duplicate_header", "", "sent twice with different values", "send it once")
		return
	}
	d.raw[f] = x.Value
	if f == fTraceparent && x.Name != HeaderTraceparent {
		d.lint(f, "name written as "+x.Name)
	}
	fault, ascii := valueFault(x.Value)
	if fault != "" {
		d.fault(f, x.Value, fault, "percent-encode it")
	} else if !ascii {
		d.lint(f, "more than printable ASCII")
	}
	if len(x.Value) > MaxHeaderValue {
		d.fault(f, "", strconv.Itoa(len(x.Value))+" bytes, the limit is "+strconv.Itoa(MaxHeaderValue), "shorten it")
	}
}

// extra keeps a header that the contract does not name. What a broker reads as
// its own is dropped: sent on, it would be a command.
func (d *decoder) extra(x driver.Header) {
	if isReserved(x.Name) {
		return
	}
	if fault, _ := valueFault(x.Value); fault != "" {
		d.errs = append(d.errs, &FieldError{Field: "headers", Value: x.Value, Problem: strconv.QuoteToASCII(x.Name) + " has a value with " + fault, Fix: "percent-encode it"})
	}
	switch {
	case !isHeaderName(x.Name):
		d.lints = append(d.lints, "headers: name "+strconv.QuoteToASCII(x.Name)+" holds more than letters, digits and _-.")
	case len(d.h.Extra) == MaxExtraHeaders:
		d.lints = append(d.lints, "headers: more than "+strconv.Itoa(MaxExtraHeaders)+" that the contract does not name")
	}
	if d.h.Extra == nil {
		d.h.Extra = make([]driver.Header, 0, 4)
	}
	d.h.Extra = append(d.h.Extra, x)
}

func (d *decoder) identity() {
	h := &d.h
	h.MessageID = d.raw[fMessageID]
	if h.MessageID != "" {
		d.messageID()
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

func (d *decoder) messageID() {
	id, err := ParseID(d.h.MessageID)
	if err != nil {
		d.errs = append(d.errs, err)
		return
	}
	if id.Version() != 7 {
		d.lint(fMessageID, "UUIDv4 instead of UUIDv7")
	}
	if lower := strings.ToLower(d.h.MessageID); lower != d.h.MessageID {
		d.lint(fMessageID, "upper case")
		d.h.MessageID = lower
	}
}

func (d *decoder) schema() {
	h := &d.h
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

func (d *decoder) content() {
	h := &d.h
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
func (d *decoder) trace() {
	if v := d.raw[fTraceparent]; v != "" {
		t, problem := parseTraceparent(v)
		if problem == "" {
			d.h.Trace = t
			return
		}
		d.lint(fTraceparent, "dropped: "+problem)
	}
	if v := d.raw[fTraceID]; len(v) >= traceparentLen {
		if t, problem := parseTraceparent(v); problem == "" {
			d.lint(fTraceID, "holds a traceparent")
			d.h.Trace = t
			return
		}
	} else if t, ok := bareTrace(v, d.raw[fSpanID]); ok {
		d.lint(fTraceID, "without traceparent")
		d.h.Trace = t
		return
	}
	d.lint(fTraceparent, "no usable trace, a new one begins")
	d.h.Trace = NewTrace()
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

func (d *decoder) counters() {
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
	d.h.RetryCount = int(n)
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

func (d *decoder) blob() {
	h := &d.h
	h.BlobRef, h.BlobHash = d.raw[fBlobRef], d.raw[fBlobHash]
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
func (d *decoder) deadLetter() {
	q := &d.h.DLQ
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

// presence reports what is missing: as a fault where nothing sensible can be
// done without it, as a lint otherwise.
func (d *decoder) presence() {
	for i := range headerSpecs {
		if spec := &headerSpecs[i]; d.raw[i] == "" && spec.Required {
			switch {
			case spec.Vital:
				d.fault(field(i), "", "missing", "set it")
			case field(i) != fContentType:
				d.lint(field(i), "missing")
			}
		}
	}
	if d.raw[fRunID] == "" {
		d.lint(fRunID, "missing")
	}
	if d.raw[fTopic] == "" {
		d.lint(fTopic, "missing")
	}
}
