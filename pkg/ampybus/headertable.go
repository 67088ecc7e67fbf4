package ampybus

// HeaderSpec describes one header of the contract: a row of the table that the
// other languages and the documentation are generated from.
type HeaderSpec struct {
	// Name is the wire name.
	Name string
	// Kind is the value's form: string, uuid, fqdn, semver, time, traceparent,
	// hex, integer, hash or topic.
	Kind string
	// Required headers must be there when an application publishes; those of
	// Vital also when a record is read, because nothing sensible can be done
	// without them.
	Required, Vital bool
	// MaxBytes bounds the value when publishing.
	MaxBytes int
	// Bus marks headers that only the bus may set.
	Bus bool
	// Doc says what it is for.
	Doc string
}

// HeaderSpecs is the table, in wire order.
func HeaderSpecs() []HeaderSpec {
	specs := headerSpecs
	return specs[:]
}

// A field is a header's index in the table.
type field uint8

const (
	fMessageID field = iota
	fTopic
	fSchemaFQDN
	fSchemaVersion
	fContentType
	fContentEncoding
	fProducedAt
	fProducer
	fSource
	fRunID
	fTraceparent
	fTraceID
	fSpanID
	fPartitionKey
	fDedupeKey
	fRetryCount
	fSchemaHash
	fPayloadHash
	fBlobRef
	fBlobHash
	fBlobSize
	fDLQReason
	fDLQTopic
	fDLQGroup
	fDLQAttempts
	fDLQAt
	fDLQOrigin
	fBridgePath
	fBridgeStoredAt
	fBridgeKey
	fieldCount
	fUnknown
)

const (
	usualValue = 256
	// keyValue leaves room for long news ids and composed keys.
	keyValue = 512
	// refValue leaves room for a version id; a presigned URL is a credential
	// and does not belong here.
	refValue = 1024
	// dlqTopicValue fits the dead-letter topics of ampy-bus 1.x, which hold a
	// whole topic behind a prefix.
	dlqTopicValue = 256
)

var headerSpecs = [fieldCount]HeaderSpec{
	fMessageID:       {Name: HeaderMessageID, Kind: "uuid", Required: true, Vital: true, MaxBytes: 36, Doc: "UUIDv7 in lower case; the same through retries, redrive and replay"},
	fTopic:           {Name: HeaderTopic, Kind: "topic", MaxBytes: MaxTopicBytes, Doc: "full bus topic; written by the bus"},
	fSchemaFQDN:      {Name: HeaderSchemaFQDN, Kind: "fqdn", Required: true, Vital: true, MaxBytes: 255, Doc: "full name of the payload's protobuf type"},
	fSchemaVersion:   {Name: HeaderSchemaVersion, Kind: "semver", Required: true, MaxBytes: 32, Doc: "major.minor.patch, for diagnostics"},
	fContentType:     {Name: HeaderContentType, Kind: "string", Required: true, MaxBytes: 64, Doc: "application/x-protobuf; application/json for diagnosis only"},
	fContentEncoding: {Name: HeaderContentEncoding, Kind: "string", MaxBytes: 16, Doc: "gzip, or absent"},
	fProducedAt:      {Name: HeaderProducedAt, Kind: "time", Required: true, Vital: true, MaxBytes: 35, Doc: "RFC 3339, UTC, up to nanoseconds"},
	fProducer:        {Name: HeaderProducer, Kind: "string", Required: true, MaxBytes: usualValue, Doc: "service instance, as service@instance"},
	fSource:          {Name: HeaderSource, Kind: "string", Required: true, MaxBytes: usualValue, Doc: "upstream system"},
	fRunID:           {Name: HeaderRunID, Kind: "string", MaxBytes: usualValue, Doc: "run or session that the record belongs to"},
	fTraceparent:     {Name: HeaderTraceparent, Kind: "traceparent", MaxBytes: traceparentLen, Doc: "W3C trace context"},
	fTraceID:         {Name: HeaderTraceID, Kind: "hex", MaxBytes: 32, Doc: "trace id of traceparent"},
	fSpanID:          {Name: HeaderSpanID, Kind: "hex", MaxBytes: 16, Doc: "span id of traceparent"},
	fPartitionKey:    {Name: HeaderPartitionKey, Kind: "string", Required: true, Vital: true, MaxBytes: keyValue, Doc: "records of one key stay in order"},
	fDedupeKey:       {Name: HeaderDedupeKey, Kind: "string", MaxBytes: keyValue, Doc: "the domain's idempotency key"},
	fRetryCount:      {Name: HeaderRetryCount, Kind: "integer", MaxBytes: 10, Doc: "how often the record was published again"},
	fSchemaHash:      {Name: HeaderSchemaHash, Kind: "hash", MaxBytes: 96, Doc: "v1:sha256: and hex"},
	fPayloadHash:     {Name: HeaderPayloadHash, Kind: "hash", MaxBytes: 71, Doc: "sha256: and hex of the payload before compression"},
	fBlobRef:         {Name: HeaderBlobRef, Kind: "string", MaxBytes: refValue, Doc: "where a payload that is kept elsewhere is"},
	fBlobHash:        {Name: HeaderBlobHash, Kind: "hash", MaxBytes: 71, Doc: "sha256: and hex of the object"},
	fBlobSize:        {Name: HeaderBlobSize, Kind: "integer", MaxBytes: 19, Doc: "size of the object in bytes"},
	fDLQReason:       {Name: HeaderDLQReason, Kind: "string", MaxBytes: MaxHeaderValue, Bus: true, Doc: "code, or code: detail"},
	fDLQTopic:        {Name: HeaderDLQTopic, Kind: "topic", MaxBytes: dlqTopicValue, Bus: true, Doc: "topic of the record that was given up"},
	fDLQGroup:        {Name: HeaderDLQGroup, Kind: "string", MaxBytes: usualValue, Bus: true, Doc: "consumer group that gave it up"},
	fDLQAttempts:     {Name: HeaderDLQAttempts, Kind: "integer", MaxBytes: 10, Bus: true, Doc: "how often its handler ran"},
	fDLQAt:           {Name: HeaderDLQAt, Kind: "time", MaxBytes: 35, Bus: true, Doc: "when it was given up, RFC 3339 UTC"},
	fDLQOrigin:       {Name: HeaderDLQOrigin, Kind: "string", MaxBytes: usualValue, Bus: true, Doc: "its place: stream:sequence or topic:partition:offset"},
	fBridgePath:      {Name: HeaderBridgePath, Kind: "string", MaxBytes: MaxHeaderValue, Bus: true, Doc: "where a bridge took it from, oldest first, separated by spaces: broker/domain/log:position"},
	fBridgeStoredAt:  {Name: HeaderBridgeStoredAt, Kind: "time", MaxBytes: 35, Bus: true, Doc: "when the first of these brokers stored it, RFC 3339 UTC"},
	fBridgeKey:       {Name: HeaderBridgeKey, Kind: "string", MaxBytes: keyValue, Bus: true, Doc: "its key on Kafka, where partition_key does not say it"},
}

// headerBytes is what each header takes of the block: beside its value when it
// is set, and at most when it is not and the bus adds it later.
var headerBytes = func() (bytes [fieldCount]struct{ frame, unset int }) {
	for i := range headerSpecs {
		spec := &headerSpecs[i]
		bytes[i].frame = len(spec.Name) + len(": \r\n")
		if !spec.Bus {
			bytes[i].unset = bytes[i].frame + min(spec.MaxBytes, 100)
		}
	}
	return bytes
}()

func (f field) String() string { return headerSpecs[f].Name }

// fieldOf finds a wire name without a map. nats.go peers of ampy-bus 1.x write
// Traceparent; every other name is exact.
func fieldOf(name string) field {
	switch name {
	case HeaderMessageID:
		return fMessageID
	case HeaderTopic:
		return fTopic
	case HeaderSchemaFQDN:
		return fSchemaFQDN
	case HeaderSchemaVersion:
		return fSchemaVersion
	case HeaderContentType:
		return fContentType
	case HeaderContentEncoding:
		return fContentEncoding
	case HeaderProducedAt:
		return fProducedAt
	case HeaderProducer:
		return fProducer
	case HeaderSource:
		return fSource
	case HeaderRunID:
		return fRunID
	case HeaderTraceparent, "Traceparent":
		return fTraceparent
	case HeaderTraceID:
		return fTraceID
	case HeaderSpanID:
		return fSpanID
	case HeaderPartitionKey:
		return fPartitionKey
	case HeaderDedupeKey:
		return fDedupeKey
	case HeaderRetryCount:
		return fRetryCount
	case HeaderSchemaHash:
		return fSchemaHash
	case HeaderPayloadHash:
		return fPayloadHash
	case HeaderBlobRef:
		return fBlobRef
	case HeaderBlobHash:
		return fBlobHash
	case HeaderBlobSize:
		return fBlobSize
	}
	return busFieldOf(name)
}

// busFieldOf finds those that only the bus sets.
func busFieldOf(name string) field {
	switch name {
	case HeaderDLQReason:
		return fDLQReason
	case HeaderDLQTopic:
		return fDLQTopic
	case HeaderDLQGroup:
		return fDLQGroup
	case HeaderDLQAttempts:
		return fDLQAttempts
	case HeaderDLQAt:
		return fDLQAt
	case HeaderDLQOrigin:
		return fDLQOrigin
	case HeaderBridgePath:
		return fBridgePath
	case HeaderBridgeStoredAt:
		return fBridgeStoredAt
	case HeaderBridgeKey:
		return fBridgeKey
	}
	return fUnknown
}
