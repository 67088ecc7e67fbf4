package ampybus

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// noise is data that does not shrink.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func TestGzipRoundTrips(t *testing.T) {
	for name, payload := range map[string][]byte{
		"empty": {}, "small": []byte("payload"), "noise": noise(200 << 10),
		"text":             bytes.Repeat([]byte("bar of AAPL; "), 20_000),
		"over eager limit": noise(inflateEager + 1),
	} {
		t.Run(name, func(t *testing.T) {
			packed, err := Compress(payload)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decompress(EncodingGzip, packed, InflateLimits{})
			if err != nil || !bytes.Equal(got, payload) {
				t.Errorf("%d bytes came back as %d, %v", len(payload), len(got), err)
			}
			r, err := gzip.NewReader(bytes.NewReader(packed))
			if err != nil || r.Header.Name != "" {
				t.Errorf("another reader: %v", err)
			}
		})
	}
}

// What shrinks more than a hundredfold would be refused as a bomb by whoever
// reads it.
func TestWhatCompressWritesIsNeverTakenForABomb(t *testing.T) {
	for _, size := range []int{inflateBase, 2 * inflateBase, 10 << 20, DefaultMaxInflated} {
		payload := make([]byte, size)
		packed, err := Compress(payload)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decompress(EncodingGzip, packed, InflateLimits{})
		if err != nil || len(got) != size {
			t.Errorf("%d zeros, packed to %d: %d, %v", size, len(packed), len(got), err)
		}
	}
}

func TestPayloadWithoutEncodingIsReturnedAsItIs(t *testing.T) {
	payload := []byte("payload")
	got, err := Decompress("", payload, InflateLimits{})
	if err != nil || &got[0] != &payload[0] {
		t.Errorf("%q, %v", got, err)
	}
}

func gz(t *testing.T, payload []byte) []byte {
	t.Helper()
	packed, err := Compress(payload)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestHostileEncodingsAreRefusedNamingTheReason(t *testing.T) {
	good := gz(t, []byte("payload"))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-5] ^= 1
	for _, c := range []struct {
		name, encoding string
		input          []byte
		code           string
	}{
		{"encoding br", "br", good, "decode:encoding"},
		{"encoding GZIP", "GZIP", good, "decode:encoding"},
		{"encoding gzip, gzip", "gzip, gzip", good, "decode:encoding"},
		{"not gzip", "gzip", []byte("payload"), "decode:gzip"},
		{"empty", "gzip", nil, "decode:gzip"},
		{"truncated", "gzip", good[:len(good)-1], "decode:gzip"},
		{"header only", "gzip", good[:10], "decode:gzip"},
		{"checksum", "gzip", flipped, "decode:gzip"},
		{"trailing byte", "gzip", append(bytes.Clone(good), 0), "decode:gzip_trailing"},
		{"two members", "gzip", append(bytes.Clone(good), good...), "decode:gzip_trailing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decompress(c.encoding, c.input, InflateLimits{})
			checkCode(t, err, c.code)
		})
	}
}

func checkCode(t *testing.T, err error, code string) {
	t.Helper()
	var ce *CodecError
	if !errors.As(err, &ce) || ce.Reason() != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestManyEmptyMembersAreRefusedQuickly(t *testing.T) {
	empty := gz(t, nil)
	input := bytes.Repeat(empty, 45_000)
	fastest := time.Hour // of several, because the machine does other things too
	for range 5 {
		start := time.Now()
		_, err := Decompress(EncodingGzip, input, InflateLimits{})
		fastest = min(fastest, time.Since(start))
		checkCode(t, err, "decode:gzip_trailing")
	}
	if fastest > 10*time.Millisecond {
		t.Errorf("took %v", fastest)
	}
}

// bomb is about a MiB that inflates to a GiB: 1,024 flushed blocks of a MiB of
// zeros each. Nobody gets as far as its checksum.
func bomb(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	header := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}
	final := []byte{1, 0, 0, 0xff, 0xff}
	trailer := []byte{0, 0, 0, 0, 0, 0, 0, 0x40}
	return slices.Concat(header, bytes.Repeat(out.Bytes(), 1<<10), final, trailer)
}

func TestBombIsRefusedWithin32MiB(t *testing.T) {
	input := bomb(t)
	if len(input) < 1<<20 {
		t.Errorf("the bomb has %d bytes", len(input))
	}
	lying := bytes.Clone(input)
	copy(lying[len(lying)-4:], []byte{0, 0, 0, 2}) // claims 32 MiB
	for name, input := range map[string][]byte{"honest": input, "lying about its size": lying} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, err := Decompress(EncodingGzip, input, InflateLimits{})
			runtime.ReadMemStats(&after)
			checkCode(t, err, "decode:gzip_limit")
			if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
				t.Errorf("allocated %d MiB", n>>20)
			}
		})
	}
}

func TestInflateLimits(t *testing.T) {
	payload := []byte(strings.Repeat("x", 10_000))
	packed := gz(t, payload)
	for _, c := range []struct {
		most int64
		ok   bool
	}{{10_000, true}, {9_999, false}, {0, true}, {-1, true}} {
		_, err := Decompress(EncodingGzip, packed, InflateLimits{MaxBytes: c.most})
		if (err == nil) != c.ok {
			t.Errorf("limit %d: %v", c.most, err)
		}
	}
	if got := (InflateLimits{}).limit(1 << 20); got != 64<<20 {
		t.Errorf("default for 1 MiB: %d", got)
	}
	if got := (InflateLimits{}).limit(1000); got != 1<<20+100_000 {
		t.Errorf("default for 1,000 bytes: %d", got)
	}
}

func TestCodecServesManyGoroutines(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			payload := noise(50_000 + i)
			for range 20 {
				packed, err := Compress(payload)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := Decompress(EncodingGzip, packed, InflateLimits{})
				if err != nil || !bytes.Equal(got, payload) {
					t.Errorf("came back as %d bytes, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestPayloadHashIsSHA256OfTheBytes(t *testing.T) {
	// NIST's example for "abc".
	want := "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := PayloadHash([]byte("abc")); got != want || !isSHA256(got) {
		t.Errorf("%s", got)
	}
}
