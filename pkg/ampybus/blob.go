package ampybus

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// MaxBlobBytes bounds an object that a blob pointer names: what a consumer
// holds in memory for one message.
const MaxBlobBytes = DefaultMaxInflated

// The reasons of a BlobError, as a dead letter carries them.
const (
	CodeBlobRef    = "blob_ref"
	CodeBlobScheme = "blob_scheme"
	CodeBlobHost   = "blob_host"
	CodeBlobHash   = "blob_hash"
	CodeBlobSize   = "blob_size"
	// CodeBlobDial: the host resolved to an address that must not be reached.
	CodeBlobDial = "blob_dial"
)

// BlobStore keeps payloads that are too large for a record (specification §9).
// Implementations may be called from several goroutines.
type BlobStore interface {
	// Put keeps body under its hash (as PayloadHash writes it) and returns a
	// reference. The same body may be put again.
	Put(ctx context.Context, hash string, body []byte) (ref string, err error)
	// Get opens what ref names. The reference is not trusted: it comes with a
	// message. A reference that this store does not serve is a *BlobError; one
	// whose object is gone is an error that wraps fs.ErrNotExist.
	Get(ctx context.Context, ref string) (io.ReadCloser, error)
	// Rules say which references this store serves.
	Rules() BlobRules
}

// BlobError says why a blob pointer is not followed, or its object not used.
type BlobError struct {
	// Code is one of the CodeBlob constants.
	Code string
	// Problem does not hold the reference: it may carry credentials.
	Problem string
}

func (e *BlobError) Error() string { return e.Code + ": " + e.Problem }

// Reason is Code.
func (e *BlobError) Reason() string { return e.Code }

// BlobRules is a store's allow-list.
type BlobRules struct {
	// Schemes: empty allows s3 and https.
	Schemes []string
	// Hosts lists buckets and hosts; empty allows every name that is not an
	// address or local.
	Hosts []string
	// MaxBytes: zero is MaxBlobBytes.
	MaxBytes int64
}

func (r BlobRules) maxBytes() int64 {
	if r.MaxBytes > 0 {
		return r.MaxBytes
	}
	return MaxBlobBytes
}

// Check reports why ref may not be followed, as a *BlobError.
func (r BlobRules) Check(ref string) error {
	parsed, err := ParseBlobRef(ref)
	if err != nil {
		return err
	}
	schemes := r.Schemes
	if len(schemes) == 0 {
		schemes = []string{"s3", "https"}
	}
	if !slices.Contains(schemes, parsed.Scheme) {
		return &BlobError{Code: CodeBlobScheme, Problem: "scheme " + strconv.QuoteToASCII(parsed.Scheme) + " is not served"}
	}
	if len(r.Hosts) > 0 && !slices.Contains(r.Hosts, parsed.Host) {
		return &BlobError{Code: CodeBlobHost, Problem: "host " + strconv.QuoteToASCII(parsed.Host) + " is not on the list"}
	}
	return nil
}

// FetchBlob reads the object that h points to and verifies it before anybody
// sees a byte. It stops reading one byte behind blob_size. A reference or an
// object at fault is a *BlobError; any other error is the store's.
func FetchBlob(ctx context.Context, s BlobStore, h Headers) ([]byte, error) {
	rules := s.Rules()
	if err := rules.Check(h.BlobRef); err != nil {
		return nil, err
	}
	if h.BlobSize < 0 || h.BlobSize > rules.maxBytes() {
		return nil, &BlobError{Code: CodeBlobSize, Problem: fmt.Sprintf("%d bytes, the limit is %d", h.BlobSize, rules.maxBytes())}
	}
	r, err := s.Get(ctx, h.BlobRef)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readBlob(r, h)
}

// readBlob grows with what really arrives, not with what a header claims.
func readBlob(r io.Reader, h Headers) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, h.BlobSize+1))
	if err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	if err := VerifyBlob(h, body); err != nil {
		return nil, err
	}
	return body, nil
}

// VerifyBlob compares an object with the pointer's blob_size and blob_hash. The
// error is a *BlobError.
func VerifyBlob(h Headers, body []byte) error {
	size := int64(len(body))
	switch {
	case size > h.BlobSize:
		return &BlobError{Code: CodeBlobSize, Problem: fmt.Sprintf("the object is larger than %d bytes", h.BlobSize)}
	case size < h.BlobSize:
		return &BlobError{Code: CodeBlobSize, Problem: fmt.Sprintf("the object has %d bytes instead of %d", size, h.BlobSize)}
	case PayloadHash(body) != h.BlobHash:
		return &BlobError{Code: CodeBlobHash, Problem: "the object's bytes have another hash"}
	}
	return nil
}
