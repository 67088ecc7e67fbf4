package ampybus

import (
	"context"
	"io"
)

// BlobStore keeps payloads that are too large for a record (specification §9).
// Implementations may be called from several goroutines.
type BlobStore interface {
	// Put keeps body under its hash (as PayloadHash writes it) and returns a
	// reference. The same body may be put again.
	Put(ctx context.Context, hash string, body []byte) (ref string, err error)
	// Get opens what ref names. The reference is not trusted: it comes with a
	// message. A reference that this store does not serve is a *BlobError.
	Get(ctx context.Context, ref string) (io.ReadCloser, error)
}
