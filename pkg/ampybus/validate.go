package ampybus

import (
	"errors"
	"strconv"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// A role says whose envelope is checked.
type role uint8

const (
	asApplication role = iota
	asBus
	asReader
)

// checker collects faults.
type checker struct {
	role role
	// proven: Producer, Source and RunID were in order in an earlier message.
	proven bool
	errs   []error
}

func (c *checker) fault(name, value, problem, fix string) {
	c.errs = append(c.errs, &FieldError{Field: name, Value: value, Problem: problem, Fix: fix})
}

func (c *checker) coded(code, name, value, problem, fix string) {
	c.errs = append(c.errs, &FieldError{Field: name, Value: value, Problem: problem, Fix: fix, Code: code})
}

// check runs every check, so that a producer learns all faults at once.
func (e *Envelope) check(r role) error {
	c := checker{role: r}
	h := &e.Headers
	t, policy := c.topic(e.Topic)
	if policy != nil {
		c.agreement(e.Topic, h, t, policy, false)
	}
	c.identity(h)
	c.schema(h)
	return c.rest(e, policy)
}

// rest is what check does behind topic and schema.
func (c *checker) rest(e *Envelope, policy *Policy) error {
	h := &e.Headers
	c.content(h)
	c.texts(h)
	c.numbers(h)
	c.extra(h.Extra)
	c.sizes(h, len(e.Payload))
	if c.role == asApplication {
		c.personal(h, policy)
	}
	return errors.Join(c.errs...)
}

// checkRead is ValidateRead without an Envelope, and with what is known from the
// record before.
func checkRead(topic string, h *Headers, memo *topicMemo) error {
	c := checker{role: asReader}
	known := topic != "" && memo.topic == topic && memo.fqdn == h.SchemaFQDN
	t, policy := memo.parts, memo.policy
	if !known {
		t, policy = c.topic(topic)
	}
	if policy != nil {
		c.agreement(topic, h, t, policy, known)
	}
	if len(c.errs) > 0 {
		return errors.Join(c.errs...)
	}
	if !known {
		*memo = topicMemo{topic: topic, fqdn: h.SchemaFQDN, parts: t, policy: policy}
	}
	return nil
}

// topic parses the topic and finds its policy, nil if there is none.
func (c *checker) topic(topic string) (Topic, *Policy) {
	t, err := ParseTopic(topic)
	if err != nil {
		c.errs = append(c.errs, err)
		return t, nil
	}
	policy := policyRow(t.Domain)
	if policy.Infrastructure && c.role == asApplication {
		c.fault(HeaderTopic, topic, "only the bus publishes to "+t.Domain, "publish to the record's own domain; a handler that fails makes a dead letter")
	}
	return t, policy
}

// What RFC 3339 can write, in seconds: the years 1 to 9999.
const (
	firstSecond = -62_135_596_800
	lastSecond  = 253_402_300_799
)

func (c *checker) identity(h *Headers) {
	switch id, lower, err := parseID(h.MessageID); {
	case h.MessageID == "":
		c.fault(HeaderMessageID, "", "missing", "use NewHeaders or NewID")
	case err != nil:
		c.errs = append(c.errs, err)
	case id.Version() != 7 && c.role == asApplication:
		c.fault(HeaderMessageID, h.MessageID, "UUID of version "+strconv.Itoa(id.Version()), "use a UUIDv7 such as NewID makes")
	case !lower:
		c.fault(HeaderMessageID, h.MessageID, "upper case", "write it in lower case")
	}
	switch at := h.ProducedAt; {
	case at.IsZero():
		c.fault(HeaderProducedAt, "", "missing", "set the time of producing, in UTC")
	case at.Unix() < firstSecond || at.Unix() > lastSecond:
		c.fault(HeaderProducedAt, "", "year outside 1 to 9999", "set the time of producing, in UTC")
	}
}

func (c *checker) schema(h *Headers) {
	switch {
	case h.SchemaFQDN == "":
		c.fault(HeaderSchemaFQDN, "", "missing", "write the payload's full type name")
	case !isFullName(h.SchemaFQDN):
		c.fault(HeaderSchemaFQDN, h.SchemaFQDN, "no full name of a protobuf type", "write a name such as ampy.bars.v1.BarBatch")
	}
	if !isSemver(h.SchemaVersion) && !(h.SchemaVersion == "" && c.role == asBus) {
		c.fault(HeaderSchemaVersion, h.SchemaVersion, "not major.minor.patch", "write a version such as 1.0.0")
	}
	if h.SchemaHash != "" && c.role == asApplication && schemaHashForm(h.SchemaHash) == hashUnknown {
		c.fault(HeaderSchemaHash, h.SchemaHash, "not v1:sha256: and 64 hexadecimal digits", "compute it from the schema, or leave it away")
	}
}

func (c *checker) content(h *Headers) {
	if h.ContentType != ContentTypeProtobuf && h.ContentType != ContentTypeJSON {
		c.fault(HeaderContentType, h.ContentType, "unknown content type", "write "+ContentTypeProtobuf)
	}
	if h.ContentEncoding != "" && h.ContentEncoding != EncodingGzip {
		c.coded(CodeEncoding, HeaderContentEncoding, h.ContentEncoding, "unknown content encoding", "write gzip, or leave it away")
	}
	if h.PayloadHash != "" && c.role == asApplication && !isSHA256(h.PayloadHash) {
		c.coded(CodePayloadHash, HeaderPayloadHash, h.PayloadHash, "not sha256: and 64 hexadecimal digits", "hash the payload before compression, or leave it to the bus")
	}
	if err := checkBlobPointer(h); err != nil {
		c.errs = append(c.errs, err)
	}
}

// texts checks values of no particular form.
func (c *checker) texts(h *Headers) {
	if !c.proven {
		c.text(fProducer, h.Producer)
		c.text(fSource, h.Source)
		c.text(fRunID, h.RunID)
	}
	c.text(fPartitionKey, h.PartitionKey)
	c.text(fDedupeKey, h.DedupeKey)
	if c.role == asBus {
		c.text(fTopic, h.Topic)
		c.text(fSchemaHash, h.SchemaHash)
		c.text(fPayloadHash, h.PayloadHash)
		c.text(fDLQReason, h.DLQ.Reason)
		c.text(fDLQTopic, h.DLQ.Topic)
		c.text(fDLQGroup, h.DLQ.Group)
		c.text(fDLQOrigin, h.DLQ.Origin)
		c.text(fBridgePath, h.Bridge.Path)
		c.text(fBridgeKey, h.Bridge.Key)
	}
}

func (c *checker) text(f field, v string) {
	spec := &headerSpecs[f]
	if v == "" {
		if spec.Vital || spec.Required && c.role == asApplication {
			c.fault(spec.Name, "", "missing", "set it")
		}
		return
	}
	most := spec.MaxBytes
	if c.role == asBus && most != keyValue {
		most = MaxHeaderValue
	}
	if len(v) > most {
		c.fault(spec.Name, "", strconv.Itoa(len(v))+" bytes, the limit is "+strconv.Itoa(most), "shorten it")
	}
	c.value(spec.Name, v)
}

// value refuses what would not arrive as it was sent. The bus sends on what a
// peer wrote in other alphabets.
func (c *checker) value(name, v string) {
	fault, ascii := valueFault(v)
	switch {
	case fault != "":
		c.fault(name, v, fault, "remove it, or use PercentEncode")
	case !ascii && c.role == asApplication:
		c.fault(name, v, "more than printable ASCII", "use PercentEncode")
	}
}

func (c *checker) numbers(h *Headers) {
	if h.RetryCount < 0 || h.RetryCount > MaxRetryCount {
		c.fault(HeaderRetryCount, strconv.Itoa(h.RetryCount), "not from 0 to "+strconv.Itoa(MaxRetryCount), "count earlier publishes")
	}
	if h.DLQ.Attempts < 0 || h.DLQ.Attempts > MaxRetryCount {
		c.fault(HeaderDLQAttempts, strconv.Itoa(h.DLQ.Attempts), "not from 0 to "+strconv.Itoa(MaxRetryCount), "count attempts")
	}
}

// extra checks headers that the contract does not name.
func (c *checker) extra(hs []driver.Header) {
	if len(hs) > MaxExtraHeaders && c.role == asApplication {
		c.fault("headers", "", strconv.Itoa(len(hs))+" beside those of the contract, the limit is "+strconv.Itoa(MaxExtraHeaders), "send fewer")
	}
	for i := range hs {
		name, value := hs[i].Name, hs[i].Value
		quoted := strconv.QuoteToASCII(name)
		switch {
		case isReserved(name):
			c.fault("headers", name, quoted+" is reserved: a broker reads it as a command", "choose a name that begins otherwise, such as with x-")
		case c.role == asBus:
		case !isHeaderName(name):
			c.fault("headers", name, quoted+" is no name of 1 to "+strconv.Itoa(MaxTokenBytes)+" letters, digits and _-.", "rename it")
		case strings.HasPrefix(strings.ToLower(name), "dlq_"):
			c.fault("headers", name, quoted+" is reserved: only the bus sets dlq_ headers", "choose another name")
		case fieldOf(strings.ToLower(name)) != fUnknown:
			c.fault("headers", name, quoted+" is a header of the contract", "set the field of Headers instead")
		case len(value) > MaxHeaderValue:
			c.fault("headers", name, quoted+" has "+strconv.Itoa(len(value))+" bytes, the limit is "+strconv.Itoa(MaxHeaderValue), "put large data into the payload")
		case repeated(hs[:i], name, value):
			c.coded("duplicate_header", "headers", name, quoted+" is there twice with different values", "send it once")
		}
		c.value("headers", value)
	}
}

func repeated(hs []driver.Header, name, value string) bool {
	for i := range hs {
		if hs[i].Name == name && hs[i].Value != value {
			return true
		}
	}
	return false
}

// sizes bounds the whole. The block is measured at its largest, so that no
// header that the bus adds later can break the limit.
func (c *checker) sizes(h *Headers, payload int) {
	most := MaxHeaderBlock
	if c.role == asBus {
		most = maxReadBlock
	}
	if n := largestBlock(h); n > most {
		c.fault("headers", "", strconv.Itoa(n)+" bytes, the limit is "+strconv.Itoa(most), "put large data into the payload")
	}
	if payload > MaxPayload {
		c.fault("payload", "", strconv.Itoa(payload)+" bytes, the limit is "+strconv.Itoa(MaxPayload), "send smaller batches")
	}
}

func largestBlock(h *Headers) int {
	var values [fieldCount]string
	h.strings(&values)
	n := headerBlockBytes(h.Extra)
	for i := range values {
		if values[i] == "" {
			n += headerBytes[i].unset
		} else {
			n += headerBytes[i].frame + len(values[i])
		}
	}
	return n
}
