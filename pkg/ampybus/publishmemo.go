package ampybus

import "sync/atomic"

// publishMemo validates what an application publishes. It remembers a topic and
// a schema that were in order: most of a producer's messages have the same.
type publishMemo struct {
	last   atomic.Pointer[publishable]
	missed atomic.Uint32
}

// publishable is a topic, a schema that belongs on it, and who published there.
type publishable struct {
	topicMemo
	version, hash         string
	producer, source, run string
}

func (p *publishable) covers(e *Envelope) bool {
	h := &e.Headers
	return p.topic == e.Topic && p.fqdn == h.SchemaFQDN && p.version == h.SchemaVersion && p.hash == h.SchemaHash
}

// learnEvery bounds what learning costs a producer of many topics.
const learnEvery = 16

// validate is Envelope.Validate.
func (m *publishMemo) validate(e *Envelope) error {
	if known := m.last.Load(); known != nil && known.covers(e) {
		h := &e.Headers
		c := checker{role: asApplication, proven: known.producer == h.Producer && known.source == h.Source && known.run == h.RunID}
		c.agreement(e.Topic, h, known.parts, known.policy, true)
		c.identity(h)
		return c.rest(e, known.policy)
	}
	err := e.check(asApplication)
	if err == nil && m.missed.Add(1)%learnEvery == 1 {
		m.learn(e)
	}
	return err
}

// learn remembers what e, which is valid, has in common with others.
func (m *publishMemo) learn(e *Envelope) {
	t, err := ParseTopic(e.Topic)
	if err != nil {
		return
	}
	h := &e.Headers
	m.last.Store(&publishable{
		topicMemo: topicMemo{topic: e.Topic, fqdn: h.SchemaFQDN, parts: t, policy: policyRow(t.Domain)},
		version:   h.SchemaVersion, hash: h.SchemaHash,
		producer: h.Producer, source: h.Source, run: h.RunID,
	})
}
