package ampybus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
)

func TestBlobReferencesAreTakenApart(t *testing.T) {
	for ref, want := range map[string]BlobRef{
		"s3://bucket/key?versionId=3":       {Scheme: "s3", Host: "bucket", Path: "/key", Version: "3"},
		"s3://2024-archive/a/b.bin":         {Scheme: "s3", Host: "2024-archive", Path: "/a/b.bin"},
		"s3://internal/key":                 {Scheme: "s3", Host: "internal", Path: "/key"},
		"S3://Bucket/Key":                   {Scheme: "s3", Host: "bucket", Path: "/Key"},
		"https://blobs.example.com/a%20b":   {Scheme: "https", Host: "blobs.example.com", Path: "/a b"},
		"file:///sha256/ab/abcd":            {Scheme: "file", Path: "/sha256/ab/abcd"},
		"gs://bucket_1/a@b":                 {Scheme: "gs", Host: "bucket_1", Path: "/a@b"},
		"https://0xabc.example.com/key":     {Scheme: "https", Host: "0xabc.example.com", Path: "/key"},
		"https://blobs.example.com./key":    {Scheme: "https", Host: "blobs.example.com.", Path: "/key"},
		"https://1.2.3.4.example.com/a..b/": {Scheme: "https", Host: "1.2.3.4.example.com", Path: "/a..b/"},
	} {
		t.Run(ref, func(t *testing.T) {
			got, err := ParseBlobRef(ref)
			if err != nil || got != want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// hostileRefs are references that must not be followed.
var hostileRefs = []struct{ ref, code string }{
	{"file:///etc/shadow", "blob_scheme"},
	{"http://blobs.example.com/k", "blob_scheme"},
	{"ftp://blobs.example.com/k", "blob_scheme"},
	{"gopher://blobs.example.com/k", "blob_scheme"},
	{"https://[::ffff:127.0.0.1]/", "blob_host"},
	{"https://[::1]/k", "blob_host"},
	{"http://0x7f000001", "blob_host"},
	{"http://0x7f000001/k", "blob_host"},
	{"https://user@host", "blob_host"},
	{"https://user:pass@blobs.example.com/k", "blob_host"},
	{"https://127.0.0.1/k", "blob_host"},
	{"https://127.1/k", "blob_host"},
	{"https://2130706433/k", "blob_host"},
	{"https://0177.0.0.1/k", "blob_host"},
	{"https://0x7f.1/k", "blob_host"},
	{"https://127.0.0.1./k", "blob_host"},
	{"https://169.254.169.254/latest/meta-data", "blob_host"},
	{"https://localhost/k", "blob_host"},
	{"https://LOCALHOST./k", "blob_host"},
	{"https://a.localhost/k", "blob_host"},
	{"https://metadata.google.internal/k", "blob_host"},
	{"https://printer.local/k", "blob_host"},
	{"https://blobs.example.com:22/k", "blob_host"},
	{"https://blobs%2eexample.com/k", "blob_ref"},
	{"https://١٢٧.٠.٠.١/k", "blob_ref"},
	{"s3://bucket/../other/key", "blob_ref"},
	{"s3://bucket/a/%2e%2e/key", "blob_ref"},
	{`s3://bucket/a\..\key`, "blob_ref"},
	{"s3://bucket", "blob_ref"},
	{"s3://bucket/", "blob_ref"},
	{"s3:bucket/key", "blob_ref"},
	{"//bucket/key", "blob_ref"},
	{"bucket/key", "blob_ref"},
	{"s3://bucket/key#part", "blob_ref"},
	{"s3://bucket/ke\ny", "blob_ref"},
	{" s3://bucket/key", "blob_ref"},
	{"s3://bucket/" + strings.Repeat("k", 1024), "blob_ref"},
	{"", "blob_ref"},
}

func TestHostileBlobReferencesAreNotFollowed(t *testing.T) {
	for _, c := range hostileRefs {
		t.Run(c.ref, func(t *testing.T) {
			checkBlobCode(t, BlobRules{}.Check(c.ref), c.code)
			s := &objects{}
			_, err := FetchBlob(context.Background(), s, Headers{BlobRef: c.ref, BlobHash: PayloadHash(nil), BlobSize: 1})
			checkBlobCode(t, err, c.code)
			if s.opened > 0 {
				t.Error("it was followed")
			}
			if err != nil && len(c.ref) > 12 && strings.Contains(err.Error(), c.ref) {
				t.Errorf("the error repeats the reference: %v", err)
			}
		})
	}
}

func checkBlobCode(t *testing.T, err error, code string) {
	t.Helper()
	var be *BlobError
	if !errors.As(err, &be) || be.Reason() != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestBlobRulesAreAnAllowList(t *testing.T) {
	rules := BlobRules{Schemes: []string{"file", "s3"}, Hosts: []string{"", "bucket"}}
	for ref, code := range map[string]string{
		"s3://bucket/k": "", "file:///k": "", "s3://other/k": "blob_host", "https://bucket/k": "blob_scheme",
	} {
		if err := rules.Check(ref); code == "" && err != nil {
			t.Error(ref, err)
		} else if code != "" {
			checkBlobCode(t, err, code)
		}
	}
}

// objects is a store of one object that counts what is done to it.
type objects struct {
	body   []byte
	rules  BlobRules
	err    error
	opened int
	read   int
	closed int
}

func (o *objects) Put(context.Context, string, []byte) (string, error) { return "", nil }
func (o *objects) Rules() BlobRules                                    { return o.rules }

func (o *objects) Get(context.Context, string) (io.ReadCloser, error) {
	o.opened++
	if o.err != nil {
		return nil, o.err
	}
	return &object{o, bytes.NewReader(o.body)}, nil
}

type object struct {
	o *objects
	r io.Reader
}

func (o *object) Read(b []byte) (int, error) {
	n, err := o.r.Read(b)
	o.o.read += n
	return n, err
}

func (o *object) Close() error { o.o.closed++; return nil }

func TestBlobIsVerifiedBeforeAnybodySeesIt(t *testing.T) {
	body := noise(100_000)
	hash := PayloadHash(body)
	other := PayloadHash([]byte("other"))
	for _, c := range []struct {
		name, hash string
		size       int64
		rules      BlobRules
		code       string
	}{
		{"as announced", hash, 100_000, BlobRules{}, ""},
		{"another hash", other, 100_000, BlobRules{}, "blob_hash"},
		{"hash too short", "sha256:ab", 100_000, BlobRules{}, "blob_hash"},
		{"unknown algorithm", "md5:" + strings.Repeat("ab", 16), 100_000, BlobRules{}, "blob_hash"},
		{"smaller than announced", hash, 100_001, BlobRules{}, "blob_size"},
		{"larger than announced", hash, 99_999, BlobRules{}, "blob_size"},
		{"negative size", hash, -1, BlobRules{}, "blob_size"},
		{"1 TiB announced", hash, 1 << 40, BlobRules{}, "blob_size"},
		{"over the store's limit", hash, 100_000, BlobRules{MaxBytes: 99_999}, "blob_size"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &objects{body: body, rules: c.rules}
			h := Headers{BlobRef: "s3://b/k", BlobHash: c.hash, BlobSize: c.size}
			got, err := FetchBlob(context.Background(), s, h)
			verified := VerifyBlob(h, body)
			if c.code == "" {
				if err != nil || verified != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes, %v, %v", len(got), err, verified)
				}
			} else {
				checkBlobCode(t, err, c.code)
				if got != nil {
					t.Error("bytes were handed out")
				}
				if c.rules.MaxBytes == 0 {
					checkBlobCode(t, verified, c.code)
				}
			}
			if s.opened != s.closed {
				t.Errorf("opened %d, closed %d", s.opened, s.closed)
			}
			if c.size > 0 && s.read > int(c.size)+1 {
				t.Errorf("read %d bytes of %d announced", s.read, c.size)
			}
		})
	}
}

func TestStoreThatFailsIsNotTheMessagesFault(t *testing.T) {
	s := &objects{err: fs.ErrNotExist}
	_, err := FetchBlob(context.Background(), s, Headers{BlobRef: "s3://b/k", BlobHash: PayloadHash(nil), BlobSize: 1})
	var be *BlobError
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &be) {
		t.Errorf("got %v", err)
	}
}
