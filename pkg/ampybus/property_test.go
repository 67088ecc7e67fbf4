package ampybus

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"pgregory.net/rapid"
)

// perCheck makes 100 checks 10,000 cases.
const perCheck = 100

func genHash(prefix string) *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return prefix + PayloadHash(b) })
}

func orEmpty(g *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), g)
}

// genText makes values of no particular form that no rule of the detector of
// personal data finds anything in.
func genText(most int) *rapid.Generator[string] {
	return rapid.StringMatching(`[!-~]([ -~]{0,40}[!-~])?`).Filter(func(s string) bool {
		rule, _ := personalRule(s, textFree)
		return rule == "" && len(s) <= most
	})
}

func genTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(-62135596799, 253402300799).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
	})
}

func genTrace() *rapid.Generator[TraceContext] {
	return rapid.Custom(func(t *rapid.T) TraceContext {
		tc := NewTrace()
		tc.TraceID[0] |= rapid.Byte().Draw(t, "trace")
		tc.Flags = rapid.Byte().Draw(t, "flags")
		return tc
	})
}

func genExtra() *rapid.Generator[[]driver.Header] {
	return rapid.Custom(func(t *rapid.T) []driver.Header {
		plain := rapid.StringMatching(`x-[a-zA-Z0-9_.-]{0,20}`).Filter(func(s string) bool { return !isPersonalName(s) })
		names := rapid.SliceOfNDistinct(plain, 0, 5, rapid.ID[string]).Draw(t, "names")
		var hs []driver.Header
		for _, name := range names {
			hs = append(hs, driver.Header{Name: name, Value: orEmpty(genText(200)).Draw(t, "value")})
		}
		return hs
	})
}

// genEnvelope makes legal envelopes of every domain but dlq.
func genEnvelope() *rapid.Generator[Envelope] {
	return rapid.Custom(func(t *rapid.T) Envelope {
		topic := genTopic().Filter(func(tp Topic) bool { return tp.Domain != DomainDLQ }).Draw(t, "topic")
		h := Headers{
			MessageID:       formatID(rapid.Uint64Max(1<<60-1).Draw(t, "tick"), rapid.Uint64().Draw(t, "random")),
			SchemaFQDN:      "ampy." + topic.Domain + "." + topic.Version + "." + rapid.StringMatching(`[A-Z][A-Za-z0-9_]{3,20}(\.[A-Z][a-z]{1,5})?`).Draw(t, "type"),
			SchemaVersion:   rapid.StringMatching(`(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})`).Draw(t, "version"),
			ContentType:     rapid.SampledFrom([]string{ContentTypeProtobuf, ContentTypeJSON}).Draw(t, "type"),
			ContentEncoding: rapid.SampledFrom([]string{"", EncodingGzip}).Draw(t, "encoding"),
			ProducedAt:      genTime().Draw(t, "produced_at"),
			Producer:        genText(256).Draw(t, "producer"), Source: genText(256).Draw(t, "source"), RunID: orEmpty(genText(256)).Draw(t, "run"),
			Trace:        genTrace().Draw(t, "trace"),
			PartitionKey: genText(512).Filter(func(s string) bool { return !strings.ContainsAny(s, ".|") }).Draw(t, "key"),
			DedupeKey:    orEmpty(genText(512)).Draw(t, "dedupe"),
			RetryCount:   rapid.IntRange(0, MaxRetryCount-1).Draw(t, "retry"),
			SchemaHash:   orEmpty(genHash("v1:")).Draw(t, "schema hash"), PayloadHash: orEmpty(genHash("")).Draw(t, "payload hash"),
			Topic: topic.String(),
			Extra: genExtra().Draw(t, "extra"),
		}
		h.SchemaFQDN = CanonicalSchema(h.SchemaFQDN)
		if rapid.Bool().Draw(t, "blob") {
			h.BlobRef = rapid.StringMatching(`(s3|https|gs)://[a-z][a-z-]{2,10}[a-z]/[a-z0-9/_]{1,30}`).Draw(t, "ref")
			h.BlobHash, h.BlobSize = genHash("").Draw(t, "blob hash"), rapid.Int64Range(1, MaxBlobBytes).Draw(t, "size")
		}
		return Envelope{Topic: topic.String(), Headers: h, Payload: rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, "payload")}
	})
}

func TestLegalEnvelopesAreValidAndRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range perCheck {
			e := genEnvelope().Draw(t, "envelope")
			if err := e.Validate(); err != nil {
				t.Fatal(err)
			}
			roundTrip(t, e.Headers)
			e.Headers.DLQ = DLQInfo{
				Reason: genText(400).Draw(t, "reason"), Topic: e.Topic, Group: "group", Origin: "LOG:17",
				Attempts: rapid.IntRange(0, MaxRetryCount-1).Draw(t, "attempts"), At: genTime().Draw(t, "at"),
			}
			roundTrip(t, e.Headers)
		}
	})
}

func roundTrip(t interface{ Fatalf(string, ...any) }, want Headers) {
	hs := EncodeHeaders(want)
	got, lints, err := DecodeHeaders(hs)
	if err != nil {
		t.Fatalf("%v: %v", hs, err)
	}
	if want.RunID != "" && len(lints) > 0 {
		t.Fatalf("%v: lints %q", hs, lints)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("came back as\n%+v\nwant\n%+v", got, want)
	}
}

// A breakage makes a legal envelope illegal and says which field is at fault.
type breakage struct {
	field string
	apply func(t *rapid.T, e *Envelope)
}

func genBreakage() *rapid.Generator[breakage] {
	illegal := rapid.StringMatching(`[a-z]{0,5}[\x00-\x1f\x7f\x{80}-\x{9f}\x{202e}\x{2066}é][a-z]{0,5}`)
	edge := rapid.SampledFrom([]string{" x", "x ", " ", "\tx", "x\xff"})
	bad := rapid.OneOf(illegal, edge)
	text := func(field string, most int, set func(e *Envelope, v string)) breakage {
		return breakage{field, func(t *rapid.T, e *Envelope) {
			long := rapid.Map(rapid.IntRange(most+1, 2*most), func(n int) string { return strings.Repeat("x", n) })
			set(e, rapid.OneOf(bad, long).Draw(t, field))
		}}
	}
	return rapid.SampledFrom([]breakage{
		{HeaderTopic, func(t *rapid.T, e *Envelope) {
			tokens := strings.Split(e.Topic, ".")
			i := rapid.IntRange(0, len(tokens)-1).Draw(t, "token")
			tokens[i] = rapid.OneOf(bad, rapid.SampledFrom([]string{"", "*", ">", "a b", "x*", "§"})).Draw(t, "text")
			e.Topic = strings.Join(tokens, ".")
		}},
		{HeaderMessageID, func(t *rapid.T, e *Envelope) {
			id := []byte(e.Headers.MessageID)
			i := rapid.IntRange(0, len(id)-1).Draw(t, "digit")
			id[i] = rapid.SampledFrom([]byte("gG-. ")).Filter(func(c byte) bool { return c != id[i] }).Draw(t, "c")
			e.Headers.MessageID = string(id)
		}},
		{HeaderMessageID, func(t *rapid.T, e *Envelope) {
			e.Headers.MessageID = rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-689a-f][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`).Draw(t, "other version")
		}},
		{HeaderSchemaFQDN, func(t *rapid.T, e *Envelope) {
			e.Headers.SchemaFQDN = rapid.StringMatching(`[a-z.]{0,10}(\.\.|[ /*\-\x00])[a-z.]{0,10}`).Draw(t, "fqdn")
		}},
		{HeaderSchemaFQDN, func(t *rapid.T, e *Envelope) {
			e.Headers.SchemaFQDN = "ampy.nodomain." + rapid.StringMatching(`v[1-9]\.[A-Z][a-z]{1,9}`).Draw(t, "type")
		}},
		{HeaderSchemaVersion, func(t *rapid.T, e *Envelope) {
			e.Headers.SchemaVersion = rapid.StringMatching(`v?[0-9]{1,3}(\.0[0-9]|\.[0-9]-[a-z]|)`).Draw(t, "version")
		}},
		{HeaderContentType, func(t *rapid.T, e *Envelope) {
			e.Headers.ContentType = rapid.StringMatching(`(text|application)/[a-w]{0,9}`).Draw(t, "type")
		}},
		{HeaderContentEncoding, func(t *rapid.T, e *Envelope) {
			e.Headers.ContentEncoding = rapid.StringMatching(`[A-Z]{1,4}|br|zstd|gzip, ?gzip`).Draw(t, "encoding")
		}},
		{HeaderProducedAt, func(_ *rapid.T, e *Envelope) { e.Headers.ProducedAt = time.Time{} }},
		text(HeaderProducer, usualValue, func(e *Envelope, v string) { e.Headers.Producer = v }),
		text(HeaderSource, usualValue, func(e *Envelope, v string) { e.Headers.Source = v }),
		text(HeaderRunID, usualValue, func(e *Envelope, v string) { e.Headers.RunID = v }),
		text(HeaderPartitionKey, keyValue, func(e *Envelope, v string) { e.Headers.PartitionKey = v }),
		text(HeaderDedupeKey, keyValue, func(e *Envelope, v string) { e.Headers.DedupeKey = v }),
		text("headers", MaxHeaderValue, func(e *Envelope, v string) {
			e.Headers.Extra = append(slices.Clone(e.Headers.Extra), driver.Header{Name: "x-", Value: v})
		}),
		{HeaderRetryCount, func(t *rapid.T, e *Envelope) {
			e.Headers.RetryCount = rapid.OneOf(rapid.IntRange(math.MinInt, -1), rapid.IntRange(MaxRetryCount+1, math.MaxInt)).Draw(t, "n")
		}},
		{HeaderPayloadHash, func(t *rapid.T, e *Envelope) {
			e.Headers.PayloadHash = rapid.StringMatching(`(sha256:|md5:)?[0-9a-fG]{1,63}`).Draw(t, "hash")
		}},
		{HeaderBlobSize, func(t *rapid.T, e *Envelope) {
			h := &e.Headers
			h.BlobRef, h.BlobHash = "s3://bucket/key", PayloadHash(nil)
			h.BlobSize = rapid.OneOf(rapid.Int64Max(0), rapid.Int64Min(MaxBlobBytes+1)).Draw(t, "size")
		}},
		{HeaderBlobRef, func(t *rapid.T, e *Envelope) {
			h := &e.Headers
			h.BlobHash, h.BlobSize = PayloadHash(nil), 1
			h.BlobRef = rapid.SampledFrom(hostileRefs).Filter(func(r struct{ ref, code string }) bool { return r.code != CodeBlobScheme }).Draw(t, "ref").ref
		}},
		{HeaderDLQOrigin, func(t *rapid.T, e *Envelope) { e.Headers.DLQ.Origin = genText(200).Draw(t, "origin") }},
	})
}

func TestIllegalEnvelopesAreRefusedNamingTheField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range perCheck {
			e := genEnvelope().Draw(t, "envelope")
			b := genBreakage().Draw(t, "breakage")
			b.apply(t, &e)
			found := false
			for _, fe := range FieldErrors(e.Validate()) {
				found = found || fe.Field == b.field
			}
			if !found {
				t.Fatalf("%s: %v for %+v", b.field, e.Validate(), e)
			}
		}
	})
}
