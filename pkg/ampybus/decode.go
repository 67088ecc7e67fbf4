package ampybus

import (
	"errors"
	"strconv"

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
	var h Headers
	var m headerMemo
	lints, err := decodeHeaders(hs, &h, &m)
	return h, lints, err
}

// decodeHeaders is DecodeHeaders into h, which is zero, with what is known from
// the record before.
func decodeHeaders(hs []driver.Header, h *Headers, m *headerMemo) (lints []string, err error) {
	if m.again(hs, h) {
		return nil, nil
	}
	m.id = ID{}
	if len(hs) == 0 {
		return nil, &FieldError{Field: "headers", Problem: "the record has none", Fix: "publish through the bus", Code: "envelope"}
	}
	var d decoder
	if d.collect(hs, h, m) {
		d.identity(h)
		d.schema(h)
		d.content(h)
		d.trace(h)
		d.counters(h)
		d.blob(h)
		d.deadLetter(h)
		d.bridge(h)
		d.presence()
	}
	m.id = d.id
	if len(d.errs) > 0 {
		return d.lints, errors.Join(d.errs...)
	}
	if len(d.lints) == 0 {
		m.learn(hs, h)
	}
	return d.lints, nil
}

type decoder struct {
	raw   [fieldCount]string
	id    ID
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
func (d *decoder) collect(hs []driver.Header, h *Headers, m *headerMemo) bool {
	if len(hs) > maxReadHeaders {
		d.errs = append(d.errs, &FieldError{Field: "headers", Problem: strconv.Itoa(len(hs)) + " headers, the limit is " + strconv.Itoa(maxReadHeaders), Fix: "send fewer"})
		return false
	}
	if n := headerBlockBytes(hs); n > maxReadBlock {
		d.errs = append(d.errs, &FieldError{Field: "headers", Problem: strconv.Itoa(n) + " bytes, the limit is " + strconv.Itoa(maxReadBlock), Fix: "put large data into the payload"})
		return false
	}
	for i := range hs {
		x := &hs[i]
		if f := m.field(i, x); f == fUnknown {
			d.extra(*x, h)
		} else {
			d.known(f, *x)
		}
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
func (d *decoder) extra(x driver.Header, h *Headers) {
	if isReserved(x.Name) {
		return
	}
	if fault, _ := valueFault(x.Value); fault != "" {
		d.errs = append(d.errs, &FieldError{Field: "headers", Value: x.Value, Problem: strconv.QuoteToASCII(x.Name) + " has a value with " + fault, Fix: "percent-encode it"})
	}
	switch {
	case !isHeaderName(x.Name):
		d.lints = append(d.lints, "headers: name "+strconv.QuoteToASCII(x.Name)+" holds more than letters, digits and _-.")
	case len(h.Extra) == MaxExtraHeaders:
		d.lints = append(d.lints, "headers: more than "+strconv.Itoa(MaxExtraHeaders)+" that the contract does not name")
	}
	if h.Extra == nil {
		h.Extra = make([]driver.Header, 0, 4)
	}
	h.Extra = append(h.Extra, x)
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
