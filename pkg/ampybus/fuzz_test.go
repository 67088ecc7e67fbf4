package ampybus

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func checkShowable(t *testing.T, err error) {
	t.Helper()
	found := FieldErrors(err)
	if len(found) == 0 {
		t.Fatalf("%v holds no *FieldError", err)
	}
	for _, fe := range found {
		fault, ascii := valueFault(fe.Error())
		if fe.Field == "" || fe.Problem == "" || fe.Fix == "" || fault != "" || !ascii {
			t.Errorf("unfit to show: %q", fe.Error())
		}
	}
}

func FuzzParseTopic(f *testing.F) {
	for _, s := range legalTopics {
		f.Add(s)
	}
	for _, c := range hostileTopics {
		f.Add(c.topic)
	}
	f.Fuzz(func(t *testing.T, s string) {
		topic, err := ParseTopic(s)
		if err != nil {
			checkShowable(t, err)
			return
		}
		if topic.String() != s || len(s) > MaxTopicBytes || strings.ContainsAny(s, "*> $\\\r\n\x00") || topic.Major() < 1 {
			t.Errorf("%q is read as %+v", s, topic)
		}
		if p, err := ParsePattern(s); err != nil || !p.IsTopic() || !p.Match(s) {
			t.Errorf("%q is no pattern: %v", s, err)
		}
		if _, err := ParseTopic(topic.DLQ().String()); err != nil {
			t.Errorf("dead letters of %q: %v", s, err)
		}
	})
}

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{"ampy.>", "ampy.prod.bars.v1.*.>", "ampy.*.*.*.*", "ampy.prod.>.x", "ampy.prod.bars.v1.>.>"} {
		f.Add(s, legalTopics[0])
	}
	for _, c := range hostileTopics {
		f.Add(c.topic, c.topic)
	}
	f.Fuzz(func(t *testing.T, s, topic string) {
		p, err := ParsePattern(s)
		if err != nil {
			checkShowable(t, err)
			return
		}
		if p.String() != s || len(p.Scopes()) == 0 {
			t.Errorf("%q is read as %q with %v", s, p, p.Scopes())
		}
		parsed, err := ParseTopic(topic)
		if err != nil {
			return
		}
		want := matchModel(strings.Split(s, "."), strings.Split(topic, "."))
		inScope := false
		for _, scope := range p.Scopes() {
			inScope = inScope || scope == Scope{parsed.Env, parsed.Domain}
		}
		if p.Match(topic) != want || want && !inScope {
			t.Errorf("%q on %q: %v, in scope %v", s, topic, p.Match(topic), inScope)
		}
	})
}

// headersOf cuts text into headers: name, colon, value, line end.
func headersOf(text string) []driver.Header {
	var hs []driver.Header
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, ":")
		hs = append(hs, driver.Header{Name: name, Value: value})
	}
	return hs
}

func textOf(hs []driver.Header) string {
	var lines []string
	for _, h := range hs {
		lines = append(lines, h.Name+":"+h.Value)
	}
	return strings.Join(lines, "\n")
}

func FuzzDecodeHeaders(f *testing.F) {
	f.Add(textOf(wire()))
	f.Add(textOf(append(wire(), wire()...)))
	for _, c := range []struct{ name, value string }{
		{"message_id", ""},
		{"message_id", "3F2504E0-4F89-41D3-9A0C-0305E82C3301"},
		{"produced_at", "2025-09-05T21:31:01+02:00"},
		{"produced_at", "2025-09-05T19:31:01+00:00"},
		{"retry_count", "99999999999999999999"},
		{"retry_count", "-1"},
		{"traceparent", "ff-4b5b3f2a0f9d4e3db4c8a1f0e3a7c812-00f067aa0ba902b7-01"},
		{"traceparent", ""},
		{"trace_id", "00-4b5b3f2a0f9d4e3db4c8a1f0e3a7c812-00f067aa0ba902b7-01"},
		{"schema_fqdn", "ampy.fills.v1.Fill"},
		{"source", "a\u202eb\x1b"},
		{"source", "\xff"},
		{"Nats-Rollup", "all"},
		{"x note", "v"},
		{"dlq_reason", "decode_error: invalid decimal scale"},
		{"dlq_at", "yesterday"},
		{"blob_ref", "https://[::ffff:127.0.0.1]/"},
		{"blob_size", "1099511627776"},
		{"content_encoding", "gzip, gzip"},
	} {
		f.Add(textOf(with(wire(), c.name, c.value)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, _, err := DecodeHeaders(headersOf(text))
		if err != nil {
			checkShowable(t, err)
			return
		}
		if h.MessageID == "" || h.PartitionKey == "" || h.SchemaFQDN == "" || h.ProducedAt.IsZero() || h.Trace.IsZero() || h.RetryCount < 0 || h.BlobSize < 0 {
			t.Fatalf("read as %+v", h)
		}
		if h.Trace.SpanID == [8]byte{} {
			h.Trace = h.Trace.Child()
		}
		again, _, err := DecodeHeaders(EncodeHeaders(h))
		if err != nil || !reflect.DeepEqual(again, h) {
			t.Errorf("came back as\n%+v\nwant\n%+v\n%v", again, h, err)
		}
	})
}

func FuzzEnvelopeRoundTrip(f *testing.F) {
	for _, c := range specified {
		f.Add(c.topic, c.schema, "svc@1", c.key, "x-team", "data", int64(1757100661123456789), 0)
	}
	f.Add("ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v1.BarBatch", "a\r\nb", "XNAS.MSFT", "Nats-Rollup", "all", int64(-1), -1)
	f.Add("ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v1.BarBatch", "svc@1", "XNAS.MSFT", "NAts- ", "v", int64(0), 0)
	f.Add("ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v1.BarBatch", "svc@1", "XNAS.MSFT", "__\x1b[2J\r\n", "v", int64(0), 0)
	f.Add("ampy.prod.bars.v1.XNAS.AAPL", "ampy.bars.v2.BarBatch", "jane@example.com", "k ", "topic", "\x00", int64(0), 1<<40)
	f.Fuzz(func(t *testing.T, topic, schema, producer, key, name, value string, nanos int64, retries int) {
		h := NewHeaders(schema, producer, "svc", key)
		h.ProducedAt = time.Unix(0, nanos).UTC()
		h.RetryCount, h.Topic = retries, topic
		h.Extra = []driver.Header{{Name: name, Value: value}}
		e := Envelope{Topic: topic, Headers: h}
		_ = e.Lint()
		if err := e.Validate(); err != nil {
			checkShowable(t, err)
			return
		}
		if err := e.ValidateInternal(); err != nil {
			t.Errorf("legal for an application, not for the bus: %v", err)
		}
		h.SchemaFQDN = CanonicalSchema(h.SchemaFQDN)
		hs := EncodeHeaders(h)
		if n := headerBlockBytes(hs); n > MaxHeaderBlock {
			t.Errorf("the block has %d bytes", n)
		}
		got, _, err := DecodeHeaders(hs)
		if err != nil || !reflect.DeepEqual(got, h) {
			t.Errorf("came back as\n%+v\nwant\n%+v\n%v", got, h, err)
		}
		e.Headers = got
		if err := e.ValidateRead(); err != nil {
			t.Errorf("legal to publish, not to read: %v", err)
		}
	})
}

func FuzzGzipDecode(f *testing.F) {
	for _, payload := range [][]byte{nil, []byte("payload"), make([]byte, 5000), noise(300)} {
		packed, err := Compress(payload)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed, int64(0))
		f.Add(packed[:len(packed)/2], int64(100))
		f.Add(append(bytes.Clone(packed), packed...), int64(0))
		f.Add(append(bytes.Clone(packed), 0), int64(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, most int64) {
		limits := InflateLimits{MaxBytes: most}
		got, err := Decompress(EncodingGzip, b, limits)
		var ce *CodecError
		if err != nil && (!errors.As(err, &ce) || !strings.HasPrefix(ce.Code, "decode:gzip")) {
			t.Fatalf("untyped: %v", err)
		}
		if int64(len(got)) > limits.limit(len(b)) || err != nil && got != nil {
			t.Errorf("%d bytes of %d, %v", len(got), len(b), err)
		}
	})
}

func FuzzTraceparent(f *testing.F) {
	const good = "00-4b5b3f2a0f9d4e3db4c8a1f0e3a7c812-00f067aa0ba902b7-01"
	for _, s := range []string{"", good, good + "-x", "01" + good[2:] + "-x", "ff" + good[2:], good[:54], strings.ToUpper(good)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tc, err := ParseTraceparent(s)
		if err != nil {
			checkShowable(t, err)
			return
		}
		if tc.IsZero() || tc.SpanID == [8]byte{} || tc.Traceparent()[2:] != s[2:55] {
			t.Errorf("%q is read as %v", s, tc)
		}
	})
}

func FuzzUUIDv7(f *testing.F) {
	for _, s := range []string{
		"018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2", "018F5E2F-9B1C-76AA-8F7A-3B1D8F3EA0C2", "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
		"{018f5e2f-9b1c-76aa-8f7a-3b1d8f3ea0c2}", "00000000-0000-0000-0000-000000000000", "018f5e2f9b1c76aa8f7a3b1d8f3ea0c2", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			checkShowable(t, err)
			return
		}
		if id.String() != strings.ToLower(s) || id.Version() != 7 && id.Version() != 4 {
			t.Errorf("%q is read as %s", s, id)
		}
	})
}

func FuzzBlobRef(f *testing.F) {
	f.Add("s3://bucket/key?versionId=3")
	f.Add("file:///sha256/ab/abcd")
	for _, c := range hostileRefs {
		f.Add(c.ref)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseBlobRef(s)
		if err != nil {
			var be *BlobError
			if !errors.As(err, &be) {
				t.Fatalf("untyped: %v", err)
			}
			return
		}
		if ref.Scheme == "" || strings.ContainsAny(ref.Host, "@:[]/ %") || ref.Path[0] != '/' || hasDotSegment(ref.Path) {
			t.Errorf("%q is read as %+v", s, ref)
		}
	})
}
