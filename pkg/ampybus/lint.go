package ampybus

import (
	"slices"
	"strings"
)

// Lint reports departures from the recommended shape of the topic's domain:
// all of it is legal and published. It assumes that Validate found no fault.
func (e Envelope) Lint() []string {
	t, err := ParseTopic(e.Topic)
	if err != nil {
		return nil
	}
	policy, h := policyRow(t.Domain), &e.Headers
	var lints []string
	add := func(when bool, name, text string) {
		if when {
			lints = append(lints, name+": "+text)
		}
	}
	add(!matchesShape(policy.Subtopic, t.Subtopic), HeaderTopic, "the subtopic of "+t.Domain+" is usually "+policy.Subtopic)
	lintSchema(add, policy, t, h)
	add(keyVerdictOf(policy.KeyShape, t.Subtopic, h.PartitionKey) == keyOdd, HeaderPartitionKey,
		"the key on this subtopic is usually "+policy.PartitionKey)
	add(policy.WantsDedupeKey && h.DedupeKey == "", HeaderDedupeKey, "missing, usually "+policy.DedupeKey)
	add(!strings.Contains(h.Producer, "@"), HeaderProducer, "usually service@instance")
	add(h.RunID == "", HeaderRunID, "missing, so records of one run cannot be found together")
	add(h.Trace.IsZero(), HeaderTraceparent, "missing, so a new trace begins here")
	add(h.ContentType == ContentTypeJSON, HeaderContentType, "JSON is for diagnosis only")
	return append(lints, lintPersonal(h, policy)...)
}

func lintSchema(add func(when bool, name, text string), p *Policy, t Topic, h *Headers) {
	real := CanonicalSchema(h.SchemaFQDN)
	add(real != h.SchemaFQDN, HeaderSchemaFQDN, h.SchemaFQDN+" is called "+real)
	if p.Infrastructure {
		return
	}
	if !slices.Contains(p.Schemas, real) {
		add(true, HeaderSchemaFQDN, "not a known type of "+t.Domain)
	} else if want := p.SchemaFor(t.Subtopic); want != real {
		for _, other := range p.SchemaBySubtopic {
			add(other == real, HeaderSchemaFQDN, "usually on another subtopic, this one carries "+want)
		}
	}
	add(h.SchemaHash != "" && schemaHashForm(h.SchemaHash) == hashPeer, HeaderSchemaHash, "form of ampy-bus 1.x, not compared")
}

// matchesShape reports that subtopic has one of the shapes, such as
// "trade.{symbol} | quote.{symbol}". A placeholder is one token, and the last
// one any number: symbols hold dots.
func matchesShape(shapes, subtopic string) bool {
	for shape := range strings.SplitSeq(shapes, " | ") {
		if matchesOne(shape, subtopic) {
			return true
		}
	}
	return false
}

func matchesOne(shape, subtopic string) bool {
	for {
		want, shapeRest, more := strings.Cut(shape, ".")
		if !more && strings.HasPrefix(want, "{") {
			return subtopic != ""
		}
		have, rest, haveMore := strings.Cut(subtopic, ".")
		if have == "" || !strings.HasPrefix(want, "{") && want != have || more != haveMore {
			return false
		}
		if !more {
			return true
		}
		shape, subtopic = shapeRest, rest
	}
}
