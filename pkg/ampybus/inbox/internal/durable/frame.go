package durable

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A log file is a magic number and frames:
//
//	length  uint32  of the body
//	number  uint64  of the frame, from 1
//	body    uint32  CRC-32C of the body
//	header  uint32  CRC-32C of the sixteen bytes before
//	the body
//
// all little endian. The header has a checksum of its own, so that a wrong
// length is never followed; the number shows a frame that is missing or there
// twice. The body of the first frame says how many frames follow it that were
// written as a whole, before the file got its name: none of these can be torn.
const (
	magic      = "AMPYLOG1"
	headerSize = 20
	// maxBody refuses a length that no writer of ours makes.
	maxBody = 64 << 20
)

func castagnoli(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

func appendFrame(dst []byte, number uint64, body []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint64(dst, number)
	dst = binary.LittleEndian.AppendUint32(dst, castagnoli(body))
	dst = binary.LittleEndian.AppendUint32(dst, castagnoli(dst[start:]))
	return append(dst, body...)
}

// parseFrame reads the frame at the start of p; ok is false when there is none
// whole and sound.
func parseFrame(p []byte) (number uint64, body []byte, ok bool) {
	if len(p) < headerSize || castagnoli(p[:16]) != binary.LittleEndian.Uint32(p[16:]) {
		return 0, nil, false
	}
	length := binary.LittleEndian.Uint32(p)
	if length > maxBody || uint64(len(p)-headerSize) < uint64(length) {
		return 0, nil, false
	}
	body = p[headerSize : headerSize+int(length)]
	if castagnoli(body) != binary.LittleEndian.Uint32(p[12:]) {
		return 0, nil, false
	}
	return binary.LittleEndian.Uint64(p[4:]), body, true
}

// encodeBase is the content of a file that holds bodies and nothing appended.
func encodeBase(bodies [][]byte) []byte {
	file := []byte(magic)
	file = appendFrame(file, 1, binary.LittleEndian.AppendUint64(nil, uint64(len(bodies))))
	for i, b := range bodies {
		file = appendFrame(file, uint64(i)+2, b)
	}
	return file
}

// scan reads the frames of a file and hands each body to apply. It returns the
// length of the sound part, behind which at most one append is torn, and the
// number of its last frame.
func scan(file []byte, apply func(body []byte) error) (sound int, last uint64, err error) {
	if len(file) < len(magic) || string(file[:len(magic)]) != magic {
		return 0, 0, fmt.Errorf("no log of this kind: %w", ErrCorrupt)
	}
	sound = len(magic)
	whole := uint64(1) // frames that cannot be torn
	for sound < len(file) {
		number, body, ok := parseFrame(file[sound:])
		if !ok {
			break
		}
		if number != last+1 {
			return sound, last, fmt.Errorf("frame %d at byte %d follows frame %d: %w", number, sound, last, ErrCorrupt)
		}
		if number == 1 {
			whole, err = wholeFrames(body)
		} else {
			err = apply(body)
		}
		if err != nil {
			return sound, last, fmt.Errorf("frame %d at byte %d: %w", number, sound, err)
		}
		last = number
		sound += headerSize + len(body)
	}
	if last < whole {
		return sound, last, fmt.Errorf("frame %d at byte %d is unreadable: %w", last+1, sound, ErrCorrupt)
	}
	return sound, last, torn(file, sound, last)
}

// wholeFrames reads the first frame: it counts itself and the frames that
// were written with it.
func wholeFrames(body []byte) (uint64, error) {
	if len(body) != 8 {
		return 0, ErrCorrupt
	}
	return binary.LittleEndian.Uint64(body) + 1, nil
}

// torn is nil when what stands behind the sound part can be the rest of one
// append: no whole frame follows in it.
func torn(file []byte, sound int, last uint64) error {
	for at := sound + 1; at+headerSize <= len(file); at++ {
		if number, _, ok := parseFrame(file[at:]); ok {
			return fmt.Errorf("frame %d at byte %d is unreadable, and frame %d follows it: %w", last+1, sound, number, ErrCorrupt)
		}
	}
	return nil
}
