package kafkabinding

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

const (
	// maxUnpacked bounds what one batch may unpack to: twice the largest batch
	// that this binding writes.
	maxUnpacked = 2 * maxBatchBytes
	// usualBatch is what clients write by default, before compression.
	usualBatch = 1 << 20
	// maxKept is the largest buffer that is kept for the next batch.
	maxKept = 4 << 20
)

// folder unpacks batches for a client that reads, and folds the headers of each
// record into its key. The client then finds no headers, for each of which it
// would make a string; unpacker reads them. Records of batches that are not
// compressed never pass here.
//
// A folded key begins with a mark that nobody outside of the process knows, so
// that no producer can write a record that is taken for a folded one.
type folder struct {
	inner   kgo.Decompressor
	mark    [8]byte
	scratch sync.Pool
}

func newFolder() *folder {
	f := new(folder)
	if !mutant.On("guessable-mark") {
		_, _ = rand.Read(f.mark[:]) // it never fails
	}
	return f
}

// GetDecompressBytes implements kgo.PoolDecompressBytes: what is unpacked is
// copied, so its memory is used again.
func (f *folder) GetDecompressBytes([]byte, kgo.CompressionCodecType) []byte {
	if b, _ := f.scratch.Get().(*[]byte); b != nil {
		return *b
	}
	return make([]byte, usualBatch)
}

// PutDecompressBytes implements kgo.PoolDecompressBytes.
func (f *folder) PutDecompressBytes(b []byte) {
	if cap(b) > 0 && cap(b) <= maxKept {
		f.scratch.Put(&b)
	}
}

// Decompress implements kgo.Decompressor.
func (f *folder) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecNone {
		return src, nil
	}
	plain, err := f.inner.Decompress(src, codec)
	if err != nil {
		return nil, err
	}
	if len(plain) == 0 || isMessageSet(plain) {
		return plain, nil
	}
	defer f.PutDecompressBytes(plain)
	return f.fold(plain)
}

// isMessageSet tells the formats before Kafka 0.11: they begin with an offset of
// eight bytes, and no record has the length 0.
func isMessageSet(b []byte) bool { return b[0] == 0 }

var errRecords = errors.New("a record of the batch cannot be read")

// fold returns a copy of a batch's records, each with its headers in its key.
func (f *folder) fold(in []byte) ([]byte, error) {
	n, err := countRecords(in)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(in)+n*foldGrowth)
	for i := range n {
		size, used := kbin.Varint(in)
		rest := in[used+int(size):]
		if out, err = f.foldOne(out, in[used:used+int(size)]); err != nil {
			return nil, fmt.Errorf("record %d of %d: %w", i+1, n, err)
		}
		in = rest
	}
	return out, nil
}

// foldGrowth is by how much a record may grow: the mark, the key's new length,
// the count of no headers, and a longer length of the record.
const foldGrowth = 8 + 5 + 1 + 1

// countRecords follows the lengths.
func countRecords(in []byte) (n int, err error) {
	for ; len(in) > 0; n++ {
		size, used := kbin.Varint(in)
		if used <= 0 || size <= 0 || len(in)-used < int(size) {
			return 0, fmt.Errorf("record %d: %w", n+1, errRecords)
		}
		in = in[used+int(size):]
	}
	return n, nil
}

// foldOne appends one record, given without its length:
//
//	attributes, time, offset | key | value | headers
//
// becomes
//
//	attributes, time, offset | (mark, key, headers) | value | no headers
func (f *folder) foldOne(out, in []byte) ([]byte, error) {
	keyAt := keyStart(in)
	_, valueAt := field(in, keyAt)
	_, headersAt := field(in, valueAt)
	if !hasHeaders(in, headersAt) {
		return out, errRecords
	}
	key := len(f.mark) + valueAt - keyAt + len(in) - headersAt
	size := keyAt + kbin.VarintLen(int32(key)) + key + headersAt - valueAt + 1
	out = kbin.AppendVarint(out, int32(size))
	out = append(out, in[:keyAt]...)
	out = kbin.AppendVarint(out, int32(key))
	out = append(out, f.mark[:]...)
	out = append(out, in[keyAt:valueAt]...)
	out = append(out, in[headersAt:]...)
	out = append(out, in[valueAt:headersAt]...)
	return append(out, 0), nil
}

// keyStart is behind a record's attributes, time and offset.
func keyStart(in []byte) int {
	r := kbin.Reader{Src: in}
	r.Int8()
	r.Varlong()
	r.Varint()
	if !r.Ok() {
		return nowhere
	}
	return len(in) - len(r.Src)
}

// hasHeaders reports that a count and as many headers are all that follows.
func hasHeaders(in []byte, at int) bool {
	if at < 0 {
		return false
	}
	n, used := kbin.Varint(in[at:])
	at += used
	if used <= 0 || n < 0 || int(n) > len(in) {
		return false
	}
	for range 2 * n {
		_, at = field(in, at)
	}
	return at == len(in)
}

// unfold returns the key of a folded record and its headers, as they lie behind
// each other: a count, then names and values. ok is false where the record is
// not folded.
func (f *folder) unfold(r *kgo.Record) (key, headers []byte, ok bool) {
	if f == nil || !bytes.HasPrefix(r.Key, f.mark[:]) {
		return r.Key, nil, false
	}
	b := r.Key[len(f.mark):]
	from, to := field(b, 0)
	return b[from:to:to], b[to:], true
}

const nowhere = -1

// field says where the bytes lie of what begins at an offset of b with its
// length: nowhere if b ends before. A length below zero is that of nothing.
func field(b []byte, at int) (from, to int) {
	if uint(at) < uint(len(b)) && b[at] < 0x80 { // most lengths are one byte, the double of their number
		from, to = at+1, at+1
		if b[at]&1 == 0 {
			to += int(b[at] >> 1)
		}
		if to <= len(b) {
			return from, to
		}
	}
	return longField(b, at)
}

func longField(b []byte, at int) (from, to int) {
	if at < 0 {
		return nowhere, nowhere
	}
	n, used := kbin.Varint(b[min(at, len(b)):])
	from = at + used
	to = from + max(int(n), 0)
	if used <= 0 || to > len(b) {
		return nowhere, nowhere
	}
	return from, to
}
