package ampybus

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// wire is a legal header block, as a producer writes it.
func wire() []driver.Header {
	return []driver.Header{
		{Name: "message_id", Value: "018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2"},
		{Name: "topic", Value: "ampy.prod.bars.v1.XNAS.AAPL"},
		{Name: "schema_fqdn", Value: "ampy.bars.v1.BarBatch"},
		{Name: "schema_version", Value: "1.0.0"},
		{Name: "content_type", Value: "application/x-protobuf"},
		{Name: "produced_at", Value: "2025-09-05T19:31:01.123456789Z"},
		{Name: "producer", Value: "yfinance-go@ingest-1"},
		{Name: "source", Value: "yfinance-go"},
		{Name: "run_id", Value: "run_abc123"},
		{Name: "traceparent", Value: "00-4b5b3f2a0f9d4e3db4c8a1f0e3a7c812-00f067aa0ba902b7-01"},
		{Name: "trace_id", Value: "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812"},
		{Name: "span_id", Value: "00f067aa0ba902b7"},
		{Name: "partition_key", Value: "XNAS.AAPL"},
	}
}

// with replaces, adds, or with an empty value removes one header.
func with(hs []driver.Header, name, value string) []driver.Header {
	hs = slices.DeleteFunc(hs, func(h driver.Header) bool { return h.Name == name })
	if value == "" {
		return hs
	}
	return append(hs, driver.Header{Name: name, Value: value})
}

func TestDecodeReadsEveryHeader(t *testing.T) {
	hash := "sha256:" + strings.Repeat("ab", 32)
	hs := append(wire(),
		driver.Header{Name: "content_encoding", Value: "gzip"},
		driver.Header{Name: "dedupe_key", Value: "d-1"},
		driver.Header{Name: "retry_count", Value: "3"},
		driver.Header{Name: "schema_hash", Value: "v1:" + hash},
		driver.Header{Name: "payload_hash", Value: hash},
		driver.Header{Name: "blob_ref", Value: "s3://bucket/key?versionId=3"},
		driver.Header{Name: "blob_hash", Value: hash},
		driver.Header{Name: "blob_size", Value: "2097152"},
		driver.Header{Name: "dlq_reason", Value: "handler_failed: division by zero"},
		driver.Header{Name: "dlq_topic", Value: "ampy.prod.bars.v1.XNAS.AAPL"},
		driver.Header{Name: "dlq_group", Value: "features"},
		driver.Header{Name: "dlq_attempts", Value: "8"},
		driver.Header{Name: "dlq_at", Value: "2025-09-05T19:32:01Z"},
		driver.Header{Name: "dlq_origin", Value: "AMPY_PROD_BARS:17"},
		driver.Header{Name: "x-team", Value: "data"},
	)
	h, lints, err := DecodeHeaders(hs)
	if err != nil || len(lints) > 0 {
		t.Fatal(err, lints)
	}
	if want := time.Date(2025, 9, 5, 19, 31, 1, 123456789, time.UTC); h.ProducedAt != want {
		t.Errorf("produced at %v", h.ProducedAt)
	}
	if got := EncodeHeaders(h); !sameSet(got, hs) {
		t.Errorf("encoded again:\n%v\nwant\n%v", got, hs)
	}
}

func sameSet(a, b []driver.Header) bool {
	sorted := func(hs []driver.Header) []driver.Header {
		hs = slices.Clone(hs)
		slices.SortFunc(hs, func(x, y driver.Header) int { return strings.Compare(x.Name+x.Value, y.Name+y.Value) })
		return hs
	}
	return slices.Equal(sorted(a), sorted(b))
}

// Each row: the header that is set, and the reason of the dead letter.
func TestHostileHeadersAreRefusedNamingTheField(t *testing.T) {
	uuid := "018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2"
	hash := "sha256:" + strings.Repeat("ab", 32)
	for _, c := range []struct{ name, value, reason string }{
		{"message_id", "", "envelope:message_id"},
		{"message_id", "{" + uuid + "}", "envelope:message_id"},
		{"message_id", "urn:uuid:" + uuid, "envelope:message_id"},
		{"message_id", strings.ReplaceAll(uuid, "-", ""), "envelope:message_id"},
		{"message_id", uuid + "0", "envelope:message_id"},
		{"message_id", "00000000-0000-0000-0000-000000000000", "envelope:message_id"},
		{"message_id", "ffffffff-ffff-ffff-ffff-ffffffffffff", "envelope:message_id"},
		{"message_id", "018f5e2f-9b1c-76aa-cf7a-3b1d8f3ea0c2", "envelope:message_id"},
		{"message_id", "018f5e2f-9b1c-16aa-8f7a-3b1d8f3ea0c2", "envelope:message_id"},
		{"message_id", "018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0cg", "envelope:message_id"},
		{"dedupe_key", "order-1 ", "envelope:dedupe_key"},
		{"dedupe_key", " order-1", "envelope:dedupe_key"},
		{"dedupe_key", strings.Repeat("d", 513), "envelope:dedupe_key"},
		{"producer", "a\x00b", "envelope:producer"},
		{"producer", "a\x1b[31mb", "envelope:producer"},
		{"producer", "a\u009bb", "envelope:producer"},
		{"producer", "a\u202eb", "envelope:producer"},
		{"producer", "a\r\nb", "envelope:producer"},
		{"producer", "a\xff\xfeb", "envelope:producer"},
		{"x-note", "a\x00b", "envelope:headers"},
		{"x-note", "a\u2066b", "envelope:headers"},
		{"producer", strings.Repeat("p", 70_000), "envelope:headers"},
		{"source", strings.Repeat("p", 4097), "envelope:source"},
		{"content_encoding", "br", "decode:encoding"},
		{"content_encoding", "GZIP", "decode:encoding"},
		{"content_encoding", "gzip, gzip", "decode:encoding"},
		{"content_type", "text/html", "envelope:content_type"},
		{"content_type", "application/protobuf", "envelope:content_type"},
		{"schema_fqdn", "", "envelope:schema_fqdn"},
		{"schema_fqdn", "ampy..X", "envelope:schema_fqdn"},
		{"schema_fqdn", "../x", "envelope:schema_fqdn"},
		{"schema_fqdn", "ampy.bars.v1.9Bar", "envelope:schema_fqdn"},
		{"schema_fqdn", "Bar", "envelope:schema_fqdn"},
		{"schema_fqdn", "ampy." + strings.Repeat("x", 295), "envelope:schema_fqdn"},
		{"schema_version", "1.0", "envelope:schema_version"},
		{"schema_version", "01.0.0", "envelope:schema_version"},
		{"schema_version", "1.0.0-x", "envelope:schema_version"},
		{"schema_version", "v1.0.0", "envelope:schema_version"},
		{"schema_version", "1.0.0.0", "envelope:schema_version"},
		{"schema_version", "1..0", "envelope:schema_version"},
		{"produced_at", "", "envelope:produced_at"},
		{"produced_at", "2025-09-05T21:31:01+02:00", "envelope:produced_at"},
		{"produced_at", "2025-09-05T19:31:01", "envelope:produced_at"},
		{"produced_at", "2025-09-05 19:31:01Z", "envelope:produced_at"},
		{"produced_at", "2025-09-05T9:31:01Z", "envelope:produced_at"},
		{"produced_at", "2025-02-30T19:31:01Z", "envelope:produced_at"},
		{"produced_at", "2025-09-05T24:00:00Z", "envelope:produced_at"},
		{"produced_at", "2025-09-05T19:60:00Z", "envelope:produced_at"},
		{"produced_at", "2025-09-05T19:31:60Z", "envelope:produced_at"},
		{"produced_at", "2025-13-05T19:31:01Z", "envelope:produced_at"},
		{"produced_at", "2025-00-05T19:31:01Z", "envelope:produced_at"},
		{"produced_at", "2025-09-00T19:31:01Z", "envelope:produced_at"},
		{"produced_at", "0000-09-05T19:31:01Z", "envelope:produced_at"},
		{"produced_at", "2025-09-05T19:31:01.Z", "envelope:produced_at"},
		{"produced_at", "2025-09-05T19:31:01,5Z", "envelope:produced_at"},
		{"produced_at", "2025-09-05T19:31:01.0123456789Z", "envelope:produced_at"},
		{"produced_at", "1757100661", "envelope:produced_at"},
		{"produced_at", "0001-01-01T00:00:00Z", "envelope:produced_at"},
		{"partition_key", "", "envelope:partition_key"},
		{"partition_key", strings.Repeat("k", 513), "envelope:partition_key"},
		{"retry_count", "-1", "envelope:retry_count"},
		{"retry_count", "+1", "envelope:retry_count"},
		{"retry_count", "1e3", "envelope:retry_count"},
		{"retry_count", "007", "envelope:retry_count"},
		{"retry_count", "١", "envelope:retry_count"},
		{"payload_hash", "sha256:abc", "payload_hash"},
		{"payload_hash", "md5:0123456789abcdef0123456789abcdef", "payload_hash"},
		{"blob_hash", hash, "blob_ref"},
		{"blob_size", "17", "blob_ref"},
		{"blob_size", "1e6", "blob_ref"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			_, _, err := DecodeHeaders(with(wire(), c.name, c.value))
			checkReasons(t, err, c.reason)
		})
	}
}

func checkReasons(t *testing.T, err error, want ...string) {
	t.Helper()
	var got []string
	for _, fe := range FieldErrors(err) {
		got = append(got, fe.Reason())
		if strings.ContainsFunc(fe.Error(), isControl) || fe.Problem == "" || fe.Fix == "" {
			t.Errorf("unfit to show: %q", fe.Error())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("reasons %q, want %q (%v)", got, want, err)
	}
}

func TestHostileBlobPointersAreRefusedNamingTheReason(t *testing.T) {
	hash := "sha256:" + strings.Repeat("ab", 32)
	for _, c := range []struct{ ref, hash, size, reason string }{
		{"s3://b/k", "", "17", "blob_hash"},
		{"s3://b/k", "sha256:abcd", "17", "blob_hash"},
		{"s3://b/k", "md5:" + strings.Repeat("ab", 16), "17", "blob_hash"},
		{"s3://b/k", "sha256:" + strings.Repeat("AB", 32), "17", "blob_hash"},
		{"s3://b/k", hash, "", "blob_size"},
		{"s3://b/k", hash, "0", "blob_size"},
		{"s3://b/k", hash, "-5", "blob_size"},
		{"s3://b/k", hash, "1099511627776", "blob_size"},
		{"s3://b/k", hash, "99999999999999999999", "blob_size"},
		{"s3://b/k", hash, "1e6", "blob_size"},
		{"https://user@host/k", hash, "17", "blob_host"},
		{"https://[::ffff:127.0.0.1]/k", hash, "17", "blob_host"},
		{"not a reference", hash, "17", "blob_ref"},
	} {
		t.Run(c.ref+" "+c.hash+" "+c.size, func(t *testing.T) {
			hs := with(with(with(wire(), "blob_ref", c.ref), "blob_hash", c.hash), "blob_size", c.size)
			_, _, err := DecodeHeaders(hs)
			checkReasons(t, err, c.reason)
		})
	}
}

func TestDecodeReportsEveryFaultAtOnce(t *testing.T) {
	hs := with(with(with(with(wire(), "message_id", "x"), "produced_at", "y"), "partition_key", ""), "retry_count", "-1")
	h, _, err := DecodeHeaders(hs)
	checkReasons(t, err, "envelope:message_id", "envelope:produced_at", "envelope:retry_count", "envelope:partition_key")
	if h.SchemaFQDN != "ampy.bars.v1.BarBatch" || h.MessageID != "x" {
		t.Errorf("what could be read is missing: %+v", h)
	}
}

func TestRecordWithoutHeadersIsNoEnvelope(t *testing.T) {
	_, _, err := DecodeHeaders(nil)
	checkReasons(t, err, "envelope")
}

func TestTooManyHeadersAreRefused(t *testing.T) {
	hs := wire()
	for len(hs) < 20_000 {
		hs = append(hs, driver.Header{Name: "x-n", Value: "1"})
	}
	_, _, err := DecodeHeaders(hs)
	checkReasons(t, err, "envelope:headers")

	for n, want := range map[int][]string{maxReadHeaders: nil, maxReadHeaders + 1: {"envelope:headers"}} {
		_, _, err := DecodeHeaders(hs[:n])
		checkReasons(t, err, want...)
	}
}

func TestHeaderSentTwice(t *testing.T) {
	_, _, err := DecodeHeaders(append(wire(), driver.Header{Name: "partition_key", Value: "XNAS.MSFT"}))
	checkReasons(t, err, "duplicate_header")

	_, lints, err := DecodeHeaders(append(wire(), driver.Header{Name: "partition_key", Value: "XNAS.AAPL"}))
	if err != nil || !slices.Equal(lints, []string{"partition_key: sent twice"}) {
		t.Errorf("the same value twice: %v, %v", lints, err)
	}
}

// Each row is something that peers send and the contract does not ask for.
func TestPeersAreReadWithALint(t *testing.T) {
	const trace = "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812"
	zeros := strings.Repeat("0", 32)
	for _, c := range []struct {
		name, value, lint string
		check             func(h Headers) bool
	}{
		{"message_id", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "message_id: UUIDv4", nil},
		{"message_id", "018F5E2F-9B1C-76AA-8F7A-3B1D8F3EA0C2", "message_id: upper case", func(h Headers) bool { return h.MessageID == "018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2" }},
		{"produced_at", "2025-09-05T19:31:01+00:00", "produced_at: UTC", func(h Headers) bool { return h.ProducedAt == time.Date(2025, 9, 5, 19, 31, 1, 0, time.UTC) }},
		{"run_id", "", "run_id: missing", nil},
		{"topic", "", "topic: missing", nil},
		{"producer", "", "producer: missing", nil},
		{"source", "", "source: missing", nil},
		{"source", "Börse", "source: more than printable ASCII", func(h Headers) bool { return h.Source == "Börse" }},
		{"schema_version", "", "schema_version: missing", nil},
		{"content_type", "", "content_type: missing", func(h Headers) bool { return h.ContentType == ContentTypeProtobuf }},
		{"schema_fqdn", "ampy.fills.v1.Fill", "schema_fqdn: ampy.fills.v1.Fill read as ampy.fills.v1.FillEvent", func(h Headers) bool { return h.SchemaFQDN == "ampy.fills.v1.FillEvent" }},
		{"schema_fqdn", "ampy.positions.v1.Position", "schema_fqdn: ampy.positions.v1.Position read", func(h Headers) bool { return h.SchemaFQDN == "ampy.positions.v1.PositionSnapshot" }},
		{"schema_hash", "md5:1234", "schema_hash: unknown form", nil},
		{"retry_count", "99999999999999999999", "retry_count: read as the maximum", func(h Headers) bool { return h.RetryCount == MaxRetryCount }},
		{"retry_count", "18446744073709551617", "retry_count: read as the maximum", func(h Headers) bool { return h.RetryCount == MaxRetryCount }},
		{"retry_count", "2147483648", "retry_count: read as the maximum", func(h Headers) bool { return h.RetryCount == MaxRetryCount }},
		{"dlq_attempts", "many", "dlq_attempts: no number", nil},
		{"dlq_at", "yesterday", "dlq_at: not RFC 3339", nil},
		{"x note", "v", `headers: name "x note" holds`, func(h Headers) bool { return len(h.Extra) == 1 }},
		{"traceparent", "", "trace_id: without traceparent", func(h Headers) bool {
			return h.Trace.TraceIDString() == trace && h.Trace.SpanIDString() == "00f067aa0ba902b7"
		}},
		{"traceparent", "00-" + zeros + "-00f067aa0ba902b7-01", "traceparent: dropped: trace id of zeros", func(h Headers) bool { return h.Trace.TraceIDString() == trace }},
		{"traceparent", "00-" + trace + "-0000000000000000-01", "traceparent: dropped: span id of zeros", nil},
		{"traceparent", "ff-" + trace + "-00f067aa0ba902b7-01", "traceparent: dropped: version ff", nil},
		{"traceparent", "00-" + trace + "-00f067aa0ba902b7-0", "traceparent: dropped: not of the form", nil},
		{"traceparent", "00-" + strings.ToUpper(trace) + "-00f067aa0ba902b7-01", "traceparent: dropped: not lower-case", nil},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			h, lints, err := DecodeHeaders(with(wire(), c.name, c.value))
			if err != nil {
				t.Fatal(err)
			}
			if len(lints) == 0 || !strings.HasPrefix(lints[0], c.lint) {
				t.Errorf("lints %q, want %q", lints, c.lint)
			}
			if c.check != nil && !c.check(h) {
				t.Errorf("read as %+v", h)
			}
			if h.Trace.IsZero() {
				t.Error("no trace")
			}
		})
	}
}

func TestTraceIsReadInEveryFormThatPeersWrite(t *testing.T) {
	const trace, span = "4b5b3f2a0f9d4e3db4c8a1f0e3a7c812", "00f067aa0ba902b7"
	const parent = "00-" + trace + "-" + span + "-01"
	zeros := strings.Repeat("0", 32)
	for _, c := range []struct {
		name, parentName, parent, traceID, spanID string
		trace, span                               string
	}{
		{"bare trace id", "traceparent", "", trace, "", trace, strings.Repeat("0", 16)},
		{"bare ids", "traceparent", "", trace, span, trace, span},
		{"bare id and a broken span", "traceparent", "", trace, "xyz", trace, strings.Repeat("0", 16)},
		{"traceparent in trace_id", "traceparent", "", parent, "", trace, span},
		{"traceparent of Go peers", "Traceparent", parent, "", "", trace, span},
		{"traceparent wins over trace_id", "traceparent", parent, strings.Repeat("1", 32), "", trace, span},
		{"ids of zeros", "traceparent", "", zeros, zeros[:16], "", ""},
		{"nothing", "traceparent", "", "", "", "", ""},
		{"a later version", "traceparent", "cc-" + trace + "-" + span + "-01-what-follows", "", "", trace, span},
	} {
		t.Run(c.name, func(t *testing.T) {
			hs := with(with(with(wire(), "traceparent", ""), "trace_id", c.traceID), "span_id", c.spanID)
			h, _, err := DecodeHeaders(with(hs, c.parentName, c.parent))
			if err != nil {
				t.Fatal(err)
			}
			if c.trace == "" {
				if h.Trace.IsZero() || h.Trace.SpanID == [8]byte{} {
					t.Error("no new trace begins")
				}
				return
			}
			if h.Trace.TraceIDString() != c.trace || h.Trace.SpanIDString() != c.span {
				t.Errorf("read as %s %s", h.Trace.TraceIDString(), h.Trace.SpanIDString())
			}
		})
	}
}

func TestPeersSchemaHashesAreRecognised(t *testing.T) {
	sum := "sha256:" + strings.Repeat("ab", 32)
	for _, v := range []string{"v1:" + sum, sum, "nameonly:" + sum} {
		if _, lints, err := DecodeHeaders(with(wire(), "schema_hash", v)); err != nil || len(lints) > 0 {
			t.Errorf("%s: %v, %v", v, lints, err)
		}
	}
}

func TestUnknownHeadersAreKeptInOrder(t *testing.T) {
	extra := []driver.Header{{Name: "x-b", Value: "2"}, {Name: "ctrl_domain", Value: "bars"}, {Name: "x-a", Value: "1"}, {Name: "x-b", Value: "3"}, {Name: "x-empty"}}
	h, lints, err := DecodeHeaders(append(wire(), extra...))
	if err != nil || len(lints) > 0 || !slices.Equal(h.Extra, extra) {
		t.Errorf("kept %v, %v, %v", h.Extra, lints, err)
	}
	if hs := EncodeHeaders(h); !slices.Equal(hs[len(hs)-len(extra):], extra) {
		t.Errorf("written as %v", hs)
	}
}

func TestBrokersOwnHeadersAreNotSentOn(t *testing.T) {
	for _, name := range []string{"Nats-Msg-Id", "nats-rollup", "NATS-TTL", "__connect"} {
		h, lints, err := DecodeHeaders(append(wire(), driver.Header{Name: name, Value: "x"}))
		if err != nil || len(lints) > 0 || len(h.Extra) > 0 {
			t.Errorf("%s: kept %v, %v, %v", name, h.Extra, lints, err)
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	hs := wire()
	if n := testing.AllocsPerRun(100, func() { _, _, _ = DecodeHeaders(hs) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDeadLettersOfOthersAreRead(t *testing.T) {
	specified := []driver.Header{ // specification §14.8
		{Name: "message_id", Value: "018f5e35-0f42-7a31-9e77-1c2a9b11d0ef"},
		{Name: "schema_fqdn", Value: "ampy.bars.v1.BarBatch"},
		{Name: "schema_version", Value: "1.0.0"},
		{Name: "content_type", Value: "application/x-protobuf"},
		{Name: "produced_at", Value: "2025-09-05T19:31:02Z"},
		{Name: "producer", Value: "bus-router@plane-1"},
		{Name: "source", Value: "ampy-bus"},
		{Name: "run_id", Value: "bus_20250905"},
		{Name: "trace_id", Value: "feedfacecafebeef0011223344556677"},
		{Name: "partition_key", Value: "XNAS.AAPL"},
		{Name: "dlq_reason", Value: "decode_error: invalid decimal scale"},
	}
	zeros := strings.Repeat("0", 32)
	peer := with(with(with(with(specified, "trace_id", zeros), "span_id", zeros[:16]), "run_id", "run_local"), "dlq_reason", "Dekodierung fehlgeschlagen: größer als erlaubt")
	for topic, hs := range map[string][]driver.Header{
		"ampy.prod.dlq.v1.bars":                        specified,
		"ampy.prod.dlq.v1.ampy.prod.bars.v1.XNAS.AAPL": with(peer, "message_id", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
	} {
		h, _, err := DecodeHeaders(hs)
		if err != nil {
			t.Fatal(err)
		}
		e := Envelope{Topic: topic, Headers: h}
		if err := e.ValidateRead(); err != nil {
			t.Error(err)
		}
		if err := e.ValidateInternal(); err != nil {
			t.Errorf("cannot be sent on: %v", err)
		}
		if h.DLQ.Reason != value(hs, "dlq_reason") || h.DLQ.IsZero() {
			t.Errorf("reason %q", h.DLQ.Reason)
		}
	}
}

// A memo only saves work: with it every record reads as it does alone.
func TestWhatTheRecordBeforeWasDoesNotShow(t *testing.T) {
	names := []string{"message_id", "topic", "schema_fqdn", "schema_version", "traceparent", "Traceparent", "partition_key", "blob_ref", "x-own", "producer", "content_encoding"}
	values := []string{"", "a", "ä", " b", "1.0.0", "ampy.bars.v1.BarBatch", "gzip", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "01991b1e-0000-7000-8000-000000000001"}
	record := rapid.Custom(func(t *rapid.T) []driver.Header {
		if rapid.IntRange(0, 9).Draw(t, "bare") == 0 {
			return nil
		}
		hs := slices.Clone(EncodeHeaders(benchEnvelope().Headers))
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			h := driver.Header{Name: rapid.SampledFrom(names).Draw(t, "name"), Value: rapid.SampledFrom(values).Draw(t, "value")}
			if i := rapid.IntRange(0, len(hs)).Draw(t, "place"); i < len(hs) {
				hs[i] = h
			} else {
				hs = append(hs, h)
			}
		}
		return hs
	})
	rapid.Check(t, func(t *rapid.T) {
		var topics topicMemo
		check := memoCheck()
		for _, hs := range rapid.SliceOfN(record, 1, 6).Draw(t, "records") {
			h := check(t, hs)
			topic := rapid.SampledFrom([]string{"ampy.prod.bars.v1.XNAS.AAPL", "ampy.prod.bars.v1.XNAS.MSFT", "ampy.prod.ticks.v1.trade.AAPL", "x"}).Draw(t, "topic")
			if got, want := checkRead(topic, &h, &topics), (Envelope{Topic: topic, Headers: h}).ValidateRead(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("on %s: %v, alone %v", topic, got, want)
			}
		}
	})
}

// memoCheck reads one record after the other with one memo, and alone.
func memoCheck() func(t rapid.TB, hs []driver.Header) Headers {
	memo := new(headerMemo)
	return func(t rapid.TB, hs []driver.Header) (h Headers) {
		t.Helper()
		lints, err := decodeHeaders(hs, &h, memo)
		alone, aloneLints, aloneErr := DecodeHeaders(hs)
		if slices.Contains(lints, "traceparent: no usable trace, a new one begins") {
			h.Trace, alone.Trace = TraceContext{}, TraceContext{}
		}
		if !reflect.DeepEqual(h, alone) || !slices.Equal(lints, aloneLints) || fmt.Sprint(err) != fmt.Sprint(aloneErr) {
			t.Fatalf("%v\nreads as %+v %v %v\nalone as %+v %v %v", hs, h, lints, err, alone, aloneLints, aloneErr)
		}
		if id, err := ParseID(h.MessageID); err != nil && memo.id != (ID{}) || err == nil && memo.id != id {
			t.Fatalf("%s kept as %s", h.MessageID, memo.id)
		}
		return h
	}
}

// Each header takes one value after the other, good ones and bad ones, in its
// place and a second time before all.
func TestEachHeaderReadsAsAloneBehindAnyOther(t *testing.T) {
	values := map[string][]string{
		"message_id":   {"01991b1e-0000-7000-8000-000000000002", "01991B1E-0000-7000-8000-00000000000A", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "01991b1e-0000-7000-0000-000000000001"},
		"produced_at":  {"2025-09-05T19:31:01Z", "2025-09-05T19:31:01.5Z", "2025-09-05T19:31:02.123456789Z", "2025-09-05T19:31:02+00:00", "2025-09-05T19:31:02.Z", "0001-01-01T00:00:00.1Z", "0001-01-01T00:00:00Z", "2025-02-30T00:00:00Z"},
		"traceparent":  {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x\x7f", "00-00000000000000000000000000000000-b7ad6b7169203331-01"},
		"payload_hash": {"sha256:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("b", 64), "sha256:" + strings.Repeat("g", 64)},
	}
	for _, name := range []string{
		"topic", "schema_fqdn", "schema_version", "content_type", "producer", "source", "run_id", "trace_id", "span_id",
		"partition_key", "dedupe_key", "retry_count", "blob_ref", "dlq_reason", "bridge_path", "x-own",
	} {
		values[name] = nil
	}
	common := []string{"", "a", "b", "ä", " b", "a\x7f", "1.0.0", "ampy.bars.v1.BarBatch", strings.Repeat("k", keyValue), strings.Repeat("k", keyValue+1), strings.Repeat("v", MaxHeaderValue+1)}
	base := EncodeHeaders(benchEnvelope().Headers)
	for name, own := range values {
		all := append(own, common...)
		at := slices.IndexFunc(base, func(h driver.Header) bool { return h.Name == name })
		for _, second := range []bool{false, true} {
			record := func(value string) []driver.Header {
				h := driver.Header{Name: name, Value: value}
				if second || at < 0 {
					return append([]driver.Header{h}, base...)
				}
				hs := slices.Clone(base)
				hs[at] = h
				return hs
			}
			for _, v := range all {
				for _, w := range all {
					check := memoCheck()
					for _, hs := range [][]driver.Header{base, record(v), record(w), record(v), base, base} {
						check(t, hs)
					}
				}
			}
		}
	}
}

// A handler owns what it got: to change it changes no later message.
func TestMessagesShareNoMemoryThatMayChange(t *testing.T) {
	read := memoCheck()
	record := func() []driver.Header {
		return append(EncodeHeaders(benchEnvelope().Headers), driver.Header{Name: "x-own", Value: "1"})
	}
	for range 3 {
		hs := record()
		h := read(t, hs)
		if len(h.Extra) != 1 || h.Extra[0].Value != "1" {
			t.Fatalf("extra headers %v", h.Extra)
		}
		h.Extra[0].Value = "mine"
		for i := range hs {
			hs[i].Value = "mine"
		}
	}
}
