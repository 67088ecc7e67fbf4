package golden

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/fixture"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

var update = flag.Bool("update", false, "write the golden files and examples anew")

var extraHeader = driver.Header{Name: "x-desk", Value: "equities"}

func samples() []sample {
	return slices.Concat(
		barSamples(), tickSamples(), fundamentalsSamples(), newsSamples(), fxSamples(), corporateActionSamples(), universeSamples(),
		signalSamples(), orderSamples(), fillSamples(), positionSamples(), metricSamples(), deadLetterSamples(), controlSamples(),
	)
}

func TestGoldenFilesAreWhatTheSamplesDescribe(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.path, func(t *testing.T) {
			want, bin := s.build(t)
			text, err := fixture.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				write(t, s.path, text, bin)
			}
			if got := read(t, s.path+".bin"); !bytes.Equal(got, bin) {
				t.Errorf("%s.bin differs: go test ./golden -update rewrites it", s.path)
			}
			if got := inflated(t, read(t, s.path+".json")); !bytes.Equal(got, inflated(t, text)) {
				t.Errorf("%s.json differs: go test ./golden -update rewrites it\n got %s\nwant %s", s.path, got, text)
			}
		})
	}
}

// inflated replaces a gzip payload by what it inflates to: compressed bytes
// may change with the compressor's version.
func inflated(t *testing.T, text []byte) []byte {
	t.Helper()
	f, err := fixture.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if f.Envelope.Headers.ContentEncoding == "" {
		return text
	}
	payload, err := ampybus.Decompress(f.Envelope.Headers.ContentEncoding, f.Envelope.Payload, ampybus.InflateLimits{})
	if err != nil {
		return text
	}
	f.Envelope.Payload = payload
	text, err = fixture.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestGoldenEnvelopesKeepTheContract(t *testing.T) {
	for _, path := range files(t, ".json") {
		t.Run(path, func(t *testing.T) {
			f, err := fixture.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Validate(); err != nil {
				t.Error(err)
			}
			bin := read(t, strings.TrimSuffix(path, ".json")+".bin")
			checkBin(t, f.Envelope, bin)
			if strings.HasPrefix(path, "dlq/") {
				checkDead(t, f.Envelope.Headers, bin)
				return
			}
			checkPayload(t, f.Envelope, bin)
		})
	}
}

// checkBin compares the .bin file with the envelope's payload, uncompressed, or
// with its blob.
func checkBin(t *testing.T, e ampybus.Envelope, bin []byte) {
	t.Helper()
	h := e.Headers
	if h.BlobRef != "" {
		if h.BlobHash != ampybus.PayloadHash(bin) || h.BlobSize != int64(len(bin)) || len(e.Payload) != 0 {
			t.Errorf("the pointer does not fit the .bin file: %s, %d bytes", ampybus.PayloadHash(bin), len(bin))
		}
		return
	}
	payload, err := ampybus.Decompress(h.ContentEncoding, e.Payload, ampybus.InflateLimits{})
	if err != nil {
		payload = e.Payload
	}
	if !bytes.Equal(payload, bin) {
		t.Error("the .bin file is not the payload")
	}
	if h.PayloadHash != "" && h.PayloadHash != ampybus.PayloadHash(bin) {
		t.Errorf("payload_hash is %s, not %s", h.PayloadHash, ampybus.PayloadHash(bin))
	}
	topic, _ := ampybus.ParseTopic(e.Topic)
	if policy, _ := ampybus.PolicyFor(topic.Domain); policy.AlwaysHash && h.PayloadHash == "" && h.DLQ.Topic != "" {
		t.Error("payload_hash is missing")
	}
}

// checkPayload: the payload decodes, is canonical, and says the same as the
// headers.
func checkPayload(t *testing.T, e ampybus.Envelope, bin []byte) {
	t.Helper()
	h := e.Headers
	m, err := protopayload.Decode(h.SchemaFQDN, bin)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := protopayload.Canonical(m); err != nil || !bytes.Equal(again, bin) {
		t.Errorf("not canonical (%v):\n got %x\nwant %x", err, bin, again)
	}
	if hash, err := protopayload.SchemaHash(h.SchemaFQDN); err != nil || h.SchemaHash != "" && h.SchemaHash != hash {
		t.Errorf("schema_hash is %s, not %s (%v)", h.SchemaHash, hash, err)
	}
	topic, err := ampybus.ParseTopic(e.Topic)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := protopayload.FactsOf(topic, m)
	if errors.Is(err, protopayload.ErrMixedKeys) {
		return // the producer names the key
	}
	if err != nil {
		t.Fatal(err)
	}
	if h.PartitionKey != facts.Key && h.PartitionKey != facts.CoarseKey {
		t.Errorf("partition_key is %s, the payload's is %s", h.PartitionKey, facts.Key)
	}
	if facts.DedupeKey != "" && h.DedupeKey != facts.DedupeKey {
		t.Errorf("dedupe_key is %s, the payload's is %s", h.DedupeKey, facts.DedupeKey)
	}
	if facts.Subtopic != "" && topic.Subtopic != facts.Subtopic {
		t.Errorf("the subtopic is %s, the payload's is %s", topic.Subtopic, facts.Subtopic)
	}
}

// checkDead: a dead letter says what became of decoding it.
func checkDead(t *testing.T, h ampybus.Headers, bin []byte) {
	t.Helper()
	_, err := protopayload.Decode(h.SchemaFQDN, bin)
	switch code := ampybus.ReasonCode(h.DLQ.Reason); {
	case strings.HasPrefix(code, "decode:gzip"):
	case strings.HasPrefix(code, "decode"):
		if err == nil || h.DLQ.Reason != err.Error() {
			t.Errorf("dlq_reason is %q, decoding says %v", h.DLQ.Reason, err)
		}
	default:
		if err != nil {
			t.Error(err)
		}
	}
}

func TestEveryDomainHasThreeGoldenEnvelopes(t *testing.T) {
	count := map[string]int{}
	for _, path := range files(t, ".json") {
		count[filepath.Dir(path)]++
	}
	for _, domain := range ampybus.Domains() {
		if count[domain] < 3 {
			t.Errorf("%s has %d golden envelopes; add typical, minimal and an edge or a large one to its samples", domain, count[domain])
		}
		for _, name := range []string{"typical", "minimal"} {
			if _, err := os.Stat(filepath.Join(domain, name+".json")); err != nil {
				t.Error(err)
			}
		}
		delete(count, domain)
	}
	for dir := range count {
		t.Errorf("%s is no domain", dir)
	}
}

func TestEveryGoldenFileHasASample(t *testing.T) {
	known := map[string]bool{}
	for _, s := range samples() {
		if known[s.path] {
			t.Errorf("%s is described twice", s.path)
		}
		known[s.path] = true
	}
	for _, path := range append(files(t, ".json"), files(t, ".bin")...) {
		if !known[strings.TrimSuffix(path, filepath.Ext(path))] {
			t.Errorf("%s has no sample: remove it", path)
		}
	}
}

// Message ids must differ, or a broker would store one of two.
func TestGoldenMessageIDsDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, path := range files(t, ".json") {
		f, err := fixture.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[f.Envelope.Headers.MessageID]; other != "" {
			t.Errorf("%s and %s have one message_id", path, other)
		}
		seen[f.Envelope.Headers.MessageID] = path
	}
}

func TestTwinFillsDifferInNothingButTheirIdentity(t *testing.T) {
	one, errOne := fixture.ReadFile("fills/twin_1.json")
	two, errTwo := fixture.ReadFile("fills/twin_2.json")
	if err := errors.Join(errOne, errTwo); err != nil {
		t.Fatal(err)
	}
	a, b := one.Envelope, two.Envelope
	if !bytes.Equal(a.Payload, b.Payload) || a.Headers.PartitionKey != b.Headers.PartitionKey || a.Headers.DedupeKey != "" || b.Headers.DedupeKey != "" {
		t.Errorf("got %+v and %+v", a.Headers, b.Headers)
	}
}

func TestTheLargeGoldenIsCompressedAndOverTheLimit(t *testing.T) {
	f, err := fixture.ReadFile("bars/large_gzip.json")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(read(t, "bars/large_gzip.bin")); n <= ampybus.CompressOver || f.Envelope.Headers.ContentEncoding != ampybus.EncodingGzip {
		t.Errorf("%d bytes, content_encoding %q", n, f.Envelope.Headers.ContentEncoding)
	}
}

// files lists the files of one extension below the domain directories.
func files(t *testing.T, ext string) []string {
	t.Helper()
	paths, err := fs.Glob(os.DirFS("."), "*/*"+ext)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, text, bin []byte) {
	t.Helper()
	if err := errors.Join(
		os.MkdirAll(filepath.Dir(path), 0o755),
		os.WriteFile(path+".json", text, 0o644),
		os.WriteFile(path+".bin", bin, 0o644),
	); err != nil {
		t.Fatal(err)
	}
}
