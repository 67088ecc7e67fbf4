package ampybus

import "time"

// CompressOver is the payload size in bytes above which the bus compresses; a
// payload of exactly this size is sent as it is (specification §4).
const CompressOver = 128 << 10

// Policy is everything that differs between domains: one row of a table. It is
// shared: do not change its slices and maps.
type Policy struct {
	// Domain and Version name the row; Version is the newest payload major.
	Domain, Version string

	// DefaultSchema is the type a producer means when it says none. Empty for
	// dlq, which carries any type. From the payload definitions (ampy-proto).
	DefaultSchema string
	// SchemaBySubtopic has the default by the subtopic's first token, where
	// that differs.
	SchemaBySubtopic map[string]string
	// Schemas lists the domain's payload types. Others of the same package are
	// linted, not refused: evolution is additive (specification §4).
	Schemas []string
	// Aliases maps names that the specification uses to the types' real names.
	Aliases map[string]string

	// Subtopic and PartitionKey are the recommended shapes (specification §5
	// and §7), with payload fields in braces.
	Subtopic, PartitionKey string
	// KeyShape is what Validate checks of these two.
	KeyShape KeyShape
	// EventTime, AsOf, IngestTime and ExpiresAt name the payload fields that
	// hold these times (specification §4). Empty: the payload has none.
	EventTime, AsOf, IngestTime, ExpiresAt string
	// DedupeKey is the natural idempotency key, SinkKey the key under which a
	// sink keeps the record, Batch the rule for several records in one message.
	// Empty: there is none.
	DedupeKey, SinkKey, Batch string
	// WantsDedupeKey: the specification's examples set dedupe_key (§14).
	WantsDedupeKey bool

	// Class, and what follows from it (specification §8).
	Class QoSClass
	// PublishCeiling is how long a publish is tried again, in all. The broker
	// must still know the id then: at most half of DedupeWindow.
	PublishCeiling time.Duration
	// Retry is a consumer's budget for one record.
	Retry Retry
	// OnDead is Park where applying a successor without its predecessor would
	// be wrong: orders, fills and positions (specification §7).
	OnDead OnDead

	// Retention is how long a log keeps records: at least 7 days, longer for
	// what compliance needs (specification §10 and §20).
	Retention time.Duration
	// DedupeWindow is how long a broker remembers publish ids. It costs about
	// 260 bytes of broker memory per id, so it is short where rates are high.
	DedupeWindow time.Duration
	// Replicas is what a log should have where the cluster is large enough.
	Replicas int
	// CompressOver: see the constant.
	CompressOver int
	// AlwaysHash makes the bus write payload_hash without being asked: where an
	// audit depends on it (specification §12).
	AlwaysHash bool
	// LatencyTarget is the p99 from publish to first delivery (specification
	// §13). Zero: none is promised.
	LatencyTarget time.Duration
	// Infrastructure means that applications may not publish here.
	Infrastructure bool
	// ModelKeys means that partition keys hold model ids, which may look like
	// e-mail addresses: hyper@example.v2.
	ModelKeys bool
}

// PolicyFor is the domain's row.
func PolicyFor(domain string) (Policy, bool) {
	if p := policyRow(domain); p != nil {
		return *p, true
	}
	return Policy{}, false
}

// policyRow is PolicyFor without a copy. Nobody may write through it.
func policyRow(domain string) *Policy {
	switch domain {
	case DomainBars:
		return &policies[0]
	case DomainTicks:
		return &policies[1]
	case DomainFundamentals:
		return &policies[2]
	case DomainNews:
		return &policies[3]
	case DomainFX:
		return &policies[4]
	case DomainCorporateActions:
		return &policies[5]
	case DomainUniverse:
		return &policies[6]
	case DomainSignals:
		return &policies[7]
	case DomainOrders:
		return &policies[8]
	case DomainFills:
		return &policies[9]
	case DomainPositions:
		return &policies[10]
	case DomainMetrics:
		return &policies[11]
	case DomainDLQ:
		return &policies[12]
	case DomainControl:
		return &policies[13]
	}
	return nil
}

// SchemaFor is the type a producer means on this subtopic when it says none.
func (p *Policy) SchemaFor(subtopic string) string {
	first, _ := cutToken(subtopic)
	if s, ok := p.SchemaBySubtopic[first]; ok {
		return s
	}
	return p.DefaultSchema
}
