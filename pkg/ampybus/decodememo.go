package ampybus

import "github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"

// headerMemo remembers how the record before read: the records of a log mostly
// have the same headers in the same order, and most of the same values. What is
// as it was is not looked at again. It belongs to one goroutine.
type headerMemo struct {
	names  [memoNames]string
	fields [memoNames]field
	// id is the message_id of the last record; zero when it is none.
	id ID
	// before are the headers of the last record, count of them, and read is what
	// they said, if that was without fault and lint; else count is zero.
	before [memoNames]driver.Header
	count  int
	read   Headers
	clock  timeMemo
}

const (
	// memoNames is a few more than the contract's usual headers.
	memoNames = 20
	// memoBlock bounds the headers that are remembered, so that the next record's
	// cannot exceed the limit of all by the few values that may be new.
	memoBlock = maxReadBlock / 4
)

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

// learn takes over what read without any fault or lint.
func (m *headerMemo) learn(hs []driver.Header, h *Headers) {
	if len(hs) <= memoNames && len(h.Extra) == 0 && headerBlockBytes(hs) <= memoBlock {
		m.count = copy(m.before[:], hs) // theirs may be changed by a handler
		m.read = *h
	}
}

// again reads headers that are those of the record before but for values that
// can be judged by themselves. It reports false, and leaves h as it was, where
// there is more to look at.
func (m *headerMemo) again(hs []driver.Header, h *Headers) bool {
	n := m.count
	m.count = 0 // m.read may come to hold something of both
	if len(hs) != n || n == 0 {
		return false
	}
	for i := range hs {
		x, b := &hs[i], &m.before[i]
		same := x.Name == b.Name
		if same && x.Value == b.Value {
			continue
		}
		if !same || b.Value == "" || !m.take(m.fields[i], x.Value) {
			return false
		}
		b.Value = x.Value
	}
	m.count, *h = n, m.read
	return true
}

// take puts a value into m.read if it is without fault and lint.
func (m *headerMemo) take(f field, v string) bool {
	switch f {
	case fMessageID:
		id, lower, err := parseID(v)
		m.id, m.read.MessageID = id, v
		return err == nil && lower && id.Version() == 7
	case fProducedAt:
		t, ok := m.clock.read(v)
		m.read.ProducedAt = t
		return ok
	case fTraceparent:
		t, problem := parseTraceparent(v)
		m.read.Trace = t
		return problem == "" && len(v) == traceparentLen
	case fPayloadHash:
		m.read.PayloadHash = v
		return isSHA256(v)
	case fTraceID, fSpanID: // they count where there is no traceparent
		return isPlain(v, MaxHeaderValue)
	case fTopic:
		return takePlain(&m.read.Topic, v, MaxHeaderValue)
	case fPartitionKey:
		return takePlain(&m.read.PartitionKey, v, keyValue)
	case fDedupeKey:
		return takePlain(&m.read.DedupeKey, v, keyValue)
	case fProducer:
		return takePlain(&m.read.Producer, v, MaxHeaderValue)
	case fSource:
		return takePlain(&m.read.Source, v, MaxHeaderValue)
	case fRunID:
		return takePlain(&m.read.RunID, v, MaxHeaderValue)
	}
	return false
}

func takePlain(to *string, v string, most int) bool {
	*to = v
	return isPlain(v, most)
}

// isPlain reports a value in which there is nothing to mention.
func isPlain(v string, most int) bool {
	fault, ascii := valueFault(v)
	return v != "" && len(v) <= most && fault == "" && ascii
}

// topicMemo remembers a topic and the schema that was found to belong on it.
type topicMemo struct {
	topic, fqdn string
	parts       Topic
	policy      *Policy
}
