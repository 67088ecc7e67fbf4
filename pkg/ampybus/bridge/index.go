package bridge

import (
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// index holds the records of the source, to be found by their place, their
// content or their message.
type index struct {
	entries   []*entry
	places    map[place]*entry
	sequences map[sequenceKey]*sequence
	topics    map[string]string
	contents  map[[16]byte][]*entry
	messages  map[messageKey][]*entry
}

// entry is one record of the source.
type entry struct {
	place
	sum       digest
	topic     string
	messageID string
	sequence  *sequence
	ordinal   int // in its sequence
	matched   bool
}

type place struct {
	log string
	pos uint64
}

type messageKey struct{ topic, id string }

// sequenceKey is what keeps order: the records of one key in one log that came
// by the same way. Two writers of one key, one on each broker, keep none.
type sequenceKey struct{ log, key, first string }

type sequence struct {
	key   string
	log   string
	count int
	seen  int // behind the latest that was found on the target
}

// follows notes that record n was found, and reports whether no later one was
// found before.
func (s *sequence) follows(n int) bool {
	if n < s.seen {
		return false
	}
	s.seen = n + 1
	return true
}

func newIndex() *index {
	return &index{places: make(map[place]*entry), sequences: make(map[sequenceKey]*sequence), topics: make(map[string]string)}
}

func (x *index) add(d *driver.Delivery, m *marks, sum digest) {
	// Strings of a delivery hold its whole header block in memory.
	k := sequenceKey{log: d.Log, key: m.key}
	if len(m.hops) > 0 {
		k.first = m.hops[0].Broker
	}
	s := x.sequences[k]
	if s == nil {
		k.log, k.key, k.first = strings.Clone(k.log), strings.Clone(k.key), strings.Clone(k.first)
		s = &sequence{key: k.key, log: k.log}
		x.sequences[k] = s
	}
	e := &entry{place: place{s.log, d.Pos}, sum: sum, topic: x.topic(d.Topic), messageID: strings.Clone(messageID(d)), sequence: s, ordinal: s.count}
	s.count++
	x.entries = append(x.entries, e)
	x.places[e.place] = e
}

// topic is one copy of a topic for all its records.
func (x *index) topic(topic string) string {
	t, ok := x.topics[topic]
	if !ok {
		t = strings.Clone(topic)
		x.topics[t] = t
	}
	return t
}

// link makes records findable by content and by message: for those that no
// bridge has marked.
func (x *index) link() {
	if x.contents != nil {
		return
	}
	x.contents = make(map[[16]byte][]*entry, len(x.entries))
	x.messages = make(map[messageKey][]*entry, len(x.entries))
	for _, e := range x.entries {
		x.contents[e.sum.all] = append(x.contents[e.sum.all], e)
		k := messageKey{e.topic, e.messageID}
		x.messages[k] = append(x.messages[k], e)
	}
}

func (x *index) at(p place) *entry { return x.places[p] }

// same is the first record with this content that is not matched.
func (x *index) same(sum digest) *entry { return open(x.contents[sum.all]) }

// message is the first record of a message that is not matched.
func (x *index) message(topic, id string) *entry {
	if id == "" {
		return nil
	}
	return open(x.messages[messageKey{topic, id}])
}

func open(es []*entry) *entry {
	for _, e := range es {
		if !e.matched {
			return e
		}
	}
	return nil
}

func (e *entry) origin() string {
	d := driver.Delivery{Log: e.log, Pos: e.pos}
	return d.Origin()
}

// unlike says in what a record differs from the entry.
func (e *entry) unlike(d *driver.Delivery, sum digest) string {
	switch {
	case e.topic != d.Topic:
		return "topic"
	case e.sum.payload != sum.payload:
		return "payload"
	}
	return "headers or key"
}
