package kafkabinding

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"github.com/klauspost/compress/s2"
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

// packer unpacks batches for a client that reads, and hands each over as one
// record: the client would make a record of its own of each, with a string for
// each header. unpacker takes them from there. Records of batches that are not
// compressed never pass here.
//
// The one record has the batch's records as its value. Its key is a mark that
// nobody outside of the process knows, so that no producer can write a record
// that is taken for a batch, the number of records and the last one's offset in
// the batch; that is its own offset, too. Its time is the batch's.
type packer struct {
	inner   kgo.Decompressor
	mark    [8]byte
	scratch sync.Pool
}

func newPacker() *packer {
	f := new(packer)
	if !mutant.On("guessable-mark") {
		_, _ = rand.Read(f.mark[:]) // it never fails
	}
	return f
}

// GetDecompressBytes implements kgo.PoolDecompressBytes: what is unpacked is
// copied, so its memory is used again.
func (f *packer) GetDecompressBytes([]byte, kgo.CompressionCodecType) []byte {
	if b, _ := f.scratch.Get().(*[]byte); b != nil {
		return *b
	}
	return make([]byte, usualBatch)
}

// PutDecompressBytes implements kgo.PoolDecompressBytes.
func (f *packer) PutDecompressBytes(b []byte) {
	if cap(b) > 0 && cap(b) <= maxKept {
		f.scratch.Put(&b)
	}
}

// Decompress implements kgo.Decompressor.
func (f *packer) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecNone {
		return src, nil
	}
	if codec == kgo.CodecSnappy && !bytes.HasPrefix(src, []byte(xerial)) {
		return f.snappy(src)
	}
	plain, err := f.inner.Decompress(src, codec)
	if err != nil {
		return nil, err
	}
	if len(plain) == 0 || isMessageSet(plain) {
		return plain, nil
	}
	defer f.PutDecompressBytes(plain)
	return f.packCopy(plain)
}

func (f *packer) packCopy(plain []byte) ([]byte, error) {
	b := uncleared(roomFor(len(plain)))
	return f.pack(b, copy(b[headRoom:], plain))
}

// xerial begins what Java clients write: blocks of snappy with a frame.
const xerial = "\x82SNAPPY\x00"

// snappy unpacks a block to where it stays.
func (f *packer) snappy(src []byte) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	switch {
	case err != nil:
		return nil, err
	case n > maxUnpacked:
		return nil, kgo.ErrMaxDecompress
	}
	b := uncleared(roomFor(n))
	plain, err := s2.Decode(b[headRoom:headRoom+n], src)
	if err != nil || n == 0 || isMessageSet(plain) {
		return plain, err
	}
	return f.pack(b, n)
}

const (
	// headRoom is for what comes before a batch.
	headRoom = 64
	// fillShare of a batch's size is room for what comes behind it.
	fillShare = 32
)

// roomFor is how much a batch of n bytes takes.
func roomFor(n int) int { return headRoom + n + n/fillShare }

// uncleared is memory that holds anything: to clear what is overwritten costs as
// much as to unpack it.
func uncleared(n int) []byte {
	var b strings.Builder
	b.Grow(n) // does not clear
	b.WriteByte(0)
	return unsafe.Slice(unsafe.StringData(b.String()), n) //nolint:gosec // the builder is not used again
}

// isMessageSet tells the formats before Kafka 0.11: they begin with an offset of
// eight bytes, and no record has the length 0.
func isMessageSet(b []byte) bool { return b[0] == 0 }

var errRecords = errors.New("a record of the batch cannot be read")

// pack returns the one record of a batch, whose records are the n bytes of b
// behind headRoom. Records without anything follow it, until there are as many
// as there were: from fewer, the client would not go on to the end of a batch
// whose last records the log cleaner took. They have the same offset as the
// first, which makes the client drop them.
func (f *packer) pack(b []byte, n int) ([]byte, error) {
	records, last, err := survey(b[headRoom : headRoom+n])
	if err != nil {
		return nil, err
	}
	var room [headRoom]byte
	head := kbin.AppendVarint(append(room[:0], 0, 0), last) // attributes, time
	head = kbin.AppendVarint(head, int32(packedKey))
	head = append(head, f.mark[:]...)
	head = binary.BigEndian.AppendUint32(head, uint32(records))
	head = binary.BigEndian.AppendUint32(head, uint32(last))
	head = kbin.AppendVarint(head, int32(n))
	length := kbin.AppendVarint(nil, int32(len(head)+n+1))
	from := headRoom - len(head)
	copy(b[from:], head)
	from -= len(length)
	copy(b[from:], length)
	return fill(b[from:headRoom+n], records-1, last), nil
}

// fill appends the end of the one record, and n records without anything.
func fill(in []byte, n int, last int32) []byte {
	filler := kbin.AppendVarint([]byte{0, 0}, last)
	filler = append(filler, 1, 1, 0) // no key, no value, no headers
	filler = append(kbin.AppendVarint(nil, int32(len(filler))), filler...)
	in = append(in, 0) // no headers
	for range n {
		in = append(in, filler...)
	}
	return in
}

// packedKey is the mark, the number of records, the last offset.
const packedKey = 8 + 4 + 4

// survey counts the records, and says where in the batch the last one lies. All
// can be read.
func survey(in []byte) (n int, last int32, err error) {
	for last = -1; len(in) > 0; n++ {
		size, used := kbin.Varint(in)
		if used <= 0 || size <= 0 || len(in)-used < int(size) {
			return 0, 0, fmt.Errorf("record %d: %w", n+1, errRecords)
		}
		rec := in[used : used+int(size)]
		keyAt, _, delta := keyStart(rec)
		_, valueAt := field(rec, keyAt)
		_, headersAt := field(rec, valueAt)
		if !hasHeaders(rec, headersAt) || delta <= last {
			return 0, 0, fmt.Errorf("record %d: %w", n+1, errRecords)
		}
		in, last = in[used+int(size):], delta
	}
	return n, last, nil
}

// keyStart is behind a record's attributes, time and offset in the batch.
func keyStart(in []byte) (at int, ms int64, delta int32) {
	r := kbin.Reader{Src: in}
	r.Int8()
	ms, delta = r.Varlong(), r.Varint()
	if !r.Ok() {
		return nowhere, 0, 0
	}
	return len(in) - len(r.Src), ms, delta
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

// unpacked is the batch that a record stands for, nil if it is one of its own.
// Records before from are not wanted.
func (f *packer) unpacked(r *kgo.Record, from uint64) *packedBatch {
	if f == nil || len(r.Key) != packedKey || !bytes.HasPrefix(r.Key, f.mark[:]) {
		return nil
	}
	n, last := binary.BigEndian.Uint32(r.Key[8:]), binary.BigEndian.Uint32(r.Key[12:])
	p := &packedBatch{topic: r.Topic, raw: r.Value, left: int(n), from: int64(from), base: r.Offset - int64(int32(last)), time: r.Timestamp.UTC()}
	p.each = r.Attrs.TimestampType() == 0
	return p
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
