package blobstore_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/blobstore"
)

func openDir(t *testing.T) (*blobstore.Dir, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "blobs")
	dir, err := blobstore.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(dir.Close(), dir.Close()); err != nil {
			t.Error(err)
		}
	})
	return dir, path
}

// each runs a test on every store.
func each(t *testing.T, f func(t *testing.T, s ampybus.BlobStore)) {
	t.Run("dir", func(t *testing.T) {
		dir, _ := openDir(t)
		f(t, dir)
	})
	t.Run("memory", func(t *testing.T) { f(t, new(blobstore.Memory)) })
}

func pointer(ref string, body []byte) ampybus.Headers {
	return ampybus.Headers{BlobRef: ref, BlobHash: ampybus.PayloadHash(body), BlobSize: int64(len(body))}
}

func TestWhatIsPutIsFetchedAndVerified(t *testing.T) {
	each(t, func(t *testing.T, s ampybus.BlobStore) {
		ctx := context.Background()
		body := bytes.Repeat([]byte("bars "), 400_000)
		ref, err := s.Put(ctx, ampybus.PayloadHash(body), body)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Put(ctx, ampybus.PayloadHash(body), body)
		if err != nil || again != ref {
			t.Errorf("put again: %s, %v", again, err)
		}
		e := ampybus.Envelope{Topic: "ampy.prod.bars.v1.XNAS.AAPL", Headers: ampybus.NewHeaders("ampy.bars.v1.BarBatch", "p@1", "s", "XNAS.AAPL")}
		e.Headers.BlobRef, e.Headers.BlobHash, e.Headers.BlobSize = ref, ampybus.PayloadHash(body), int64(len(body))
		if err := e.Validate(); err != nil {
			t.Error(err)
		}
		got, err := ampybus.FetchBlob(ctx, s, e.Headers)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

func TestMissingObjectIsSaidToBeMissing(t *testing.T) {
	each(t, func(t *testing.T, s ampybus.BlobStore) {
		ctx := context.Background()
		ref, err := s.Put(ctx, ampybus.PayloadHash([]byte("a")), []byte("a"))
		if err != nil {
			t.Fatal(err)
		}
		other := strings.TrimPrefix(ampybus.PayloadHash([]byte("b")), "sha256:")
		ref = ref[:strings.LastIndex(ref, "/sha256/")] + "/sha256/" + other[:2] + "/" + other
		if _, err := ampybus.FetchBlob(ctx, s, pointer(ref, []byte("b"))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

func TestForeignReferencesAreNotServed(t *testing.T) {
	each(t, func(t *testing.T, s ampybus.BlobStore) {
		for ref, code := range map[string]string{
			"s3://bucket/key":          "blob_scheme",
			"https://example.com/key":  "blob_scheme",
			"file://example.com/x":     "",
			"mem://example.com/x":      "",
			"file:///../../etc/shadow": "",
		} {
			_, err := s.Get(context.Background(), ref)
			var be *ampybus.BlobError
			if !errors.As(err, &be) || code != "" && be.Code != code {
				t.Errorf("%s: %v", ref, err)
			}
		}
	})
}

func TestMalformedHashIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s ampybus.BlobStore) {
		for _, hash := range []string{"", "sha256:", "sha256:../../x", "md5:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("A", 64)} {
			if ref, err := s.Put(context.Background(), hash, nil); err == nil {
				t.Errorf("%q is kept as %s", hash, ref)
			}
		}
	})
}

func TestEndedContextStopsBeforeAnythingHappens(t *testing.T) {
	each(t, func(t *testing.T, s ampybus.BlobStore) {
		ref, err := s.Put(context.Background(), ampybus.PayloadHash(nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, putErr := s.Put(ctx, ampybus.PayloadHash(nil), nil)
		_, getErr := s.Get(ctx, ref)
		if !errors.Is(putErr, context.Canceled) || !errors.Is(getErr, context.Canceled) {
			t.Errorf("put %v, get %v", putErr, getErr)
		}
	})
}

func TestDirServesNothingButItsObjects(t *testing.T) {
	dir, path := openDir(t)
	secret := filepath.Join(t.TempDir(), "secret")
	sum := strings.TrimPrefix(ampybus.PayloadHash([]byte("secret")), "sha256:")
	name := "sha256/" + sum[:2] + "/" + sum
	if err := errors.Join(
		os.WriteFile(secret, []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(path, "passwords"), []byte("x"), 0o600),
		os.MkdirAll(filepath.Join(path, "sha256", sum[:2]), 0o700),
		os.Symlink(secret, filepath.Join(path, name)),
	); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{
		"file:///passwords", "file:///etc/shadow", "file:///" + name, "file:///sha256", "file:///sha256/" + sum[:2],
		"file:///sha256/00/" + sum, "file:///" + name + "/", "file:////" + name, "file:///sha256/" + sum[:2] + "/%2e%2e/" + sum,
	} {
		t.Run(ref, func(t *testing.T) {
			r, err := dir.Get(context.Background(), ref)
			if err == nil {
				r.Close()
				t.Error("it is served")
			}
		})
	}
	if ref, err := dir.Put(context.Background(), "sha256:"+sum, []byte("secret")); err != nil {
		t.Error(err)
	} else if info, err := os.Lstat(filepath.Join(path, strings.TrimPrefix(ref, "file:///"))); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link is still there: %v, %v", info, err)
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("a file outside was changed: %q, %v", b, err)
	}
}

func TestDamagedObjectIsReplaced(t *testing.T) {
	dir, path := openDir(t)
	body := []byte("payload")
	ref, err := dir.Put(context.Background(), ampybus.PayloadHash(body), body)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(path, strings.TrimPrefix(ref, "file:///"))
	if err := os.WriteFile(file, []byte("pay"), 0o600); err != nil {
		t.Fatal(err)
	}
	var be *ampybus.BlobError
	if _, err := ampybus.FetchBlob(context.Background(), dir, pointer(ref, body)); !errors.As(err, &be) {
		t.Errorf("a damaged object: %v", err)
	}
	if _, err := dir.Put(context.Background(), ampybus.PayloadHash(body), body); err != nil {
		t.Fatal(err)
	}
	if got, err := ampybus.FetchBlob(context.Background(), dir, pointer(ref, body)); err != nil || !bytes.Equal(got, body) {
		t.Errorf("after another put: %q, %v", got, err)
	}
}

func TestManyWritersOfOneObjectLeaveOneFile(t *testing.T) {
	dir, path := openDir(t)
	body := bytes.Repeat([]byte("x"), 100_000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := dir.Put(context.Background(), ampybus.PayloadHash(body), body); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	files := 0
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != 1 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestDirectoryMustBeUsable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", file, filepath.Join(file, "below")} {
		if dir, err := blobstore.OpenDir(path); err == nil {
			dir.Close()
			t.Errorf("%q is opened", path)
		}
	}
}
