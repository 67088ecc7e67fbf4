package ampybus

import "github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"

// headerMemo remembers what was found to be in order in the record before: the
// records of a log mostly have the same header names in the same order, and
// many of the same values. It belongs to one goroutine.
type headerMemo struct {
	names  [memoNames]string
	fields [memoNames]field
	// clean holds values that read without fault and lint.
	clean [fieldCount]string
	// id is the message_id of the last record; zero when it is none.
	id ID
	// fqdn is the canonical form of clean[fSchemaFQDN].
	fqdn string
}

// memoNames is a few more than the contract's usual headers.
const memoNames = 20

// field is fieldOf for the header at index i of a record.
func (m *headerMemo) field(i int, h *driver.Header) field {
	if i >= memoNames {
		return fieldOf(h.Name)
	}
	if m.names[i] != h.Name || h.Name == "" {
		m.names[i], m.fields[i] = h.Name, fieldOf(h.Name)
	}
	return m.fields[i]
}

// knows reports whether all of the fields have the values that were in order.
func (m *headerMemo) knows(raw *[fieldCount]string, fields ...field) bool {
	for _, f := range fields {
		if m.clean[f] != raw[f] {
			return false
		}
	}
	return true
}

// isOwn tells the fields that are each record's own: there is nothing to
// remember.
func (f field) isOwn() bool {
	switch f {
	case fMessageID, fProducedAt, fTraceparent, fTraceID, fSpanID, fPartitionKey, fDedupeKey, fPayloadHash:
		return true
	}
	return false
}

// learn takes over what read without any fault or lint.
func (m *headerMemo) learn(raw *[fieldCount]string, fqdn string) {
	for i := range raw {
		if !field(i).isOwn() {
			m.clean[i] = raw[i]
		}
	}
	m.fqdn = fqdn
}

// topicMemo remembers a topic and the schema that was found to belong on it.
type topicMemo struct {
	topic, fqdn string
	parts       Topic
	policy      *Policy
}
