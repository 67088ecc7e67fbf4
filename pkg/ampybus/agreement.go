package ampybus

import "strings"

// agreement checks headers against the topic. A dead letter keeps the headers
// of the record that it was, so there is nothing to agree with. schemaFits: that
// the schema belongs on the topic is known.
func (c *checker) agreement(topic string, h *Headers, t Topic, p *Policy, schemaFits bool) {
	if p.Infrastructure {
		return
	}
	if h.Topic != "" && h.Topic != topic {
		c.fault(HeaderTopic, h.Topic, "the header names another topic than the record's", "leave it to the bus")
	}
	if !h.DLQ.IsZero() {
		c.coded("forged_dlq_header", firstDLQHeader(h.DLQ), "", "only the bus sets dlq_ headers, and only on dead letters", "remove it")
	}
	if !schemaFits && isFullName(h.SchemaFQDN) {
		c.schemaOnTopic(CanonicalSchema(h.SchemaFQDN), t)
	}
	if h.PartitionKey != "" && keyVerdictOf(p.KeyShape, t.Subtopic, h.PartitionKey) == keyMismatch {
		c.coded("key_topic_mismatch", HeaderPartitionKey, h.PartitionKey, "does not belong to subtopic "+t.Subtopic, "use "+p.PartitionKey)
	}
}

func firstDLQHeader(d DLQInfo) string {
	switch {
	case d.Reason != "":
		return HeaderDLQReason
	case d.Topic != "":
		return HeaderDLQTopic
	case d.Group != "":
		return HeaderDLQGroup
	case d.Attempts != 0:
		return HeaderDLQAttempts
	case !d.At.IsZero():
		return HeaderDLQAt
	}
	return HeaderDLQOrigin
}

// schemaOnTopic wants ampy.{domain}.{version}.Name with the topic's domain and
// version: the topic's version is the payload's major (specification §5).
func (c *checker) schemaOnTopic(fqdn string, t Topic) {
	root, rest, _ := strings.Cut(fqdn, ".")
	domain, rest, _ := strings.Cut(rest, ".")
	version, name, _ := strings.Cut(rest, ".")
	switch {
	case root != topicRoot || name == "":
		c.fault(HeaderSchemaFQDN, fqdn, "not a payload type of package ampy."+t.Domain+"."+t.Version, "write a name such as ampy.bars.v1.BarBatch")
	case domain != t.Domain:
		c.fault(HeaderSchemaFQDN, fqdn, "belongs to domain "+domain+", the topic to "+t.Domain, "publish it on its own domain")
	case version != t.Version:
		c.fault(HeaderSchemaFQDN, fqdn, "has major version "+version+", the topic "+t.Version, "publish it on a topic of its own major version")
	}
}
