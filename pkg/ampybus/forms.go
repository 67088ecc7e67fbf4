package ampybus

import "strings"

const sha256Prefix = "sha256:"

// isFullName reports a full protobuf name of at least two parts:
// ampy.bars.v1.BarBatch.
func isFullName(s string) bool {
	if len(s) > headerSpecs[fSchemaFQDN].MaxBytes || strings.IndexByte(s, '.') < 0 {
		return false
	}
	start := true
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '_', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			start = false
		case '0' <= c && c <= '9':
			if start {
				return false
			}
		case c == '.':
			if start {
				return false
			}
			start = true
		default:
			return false
		}
	}
	return !start
}

// isSemver reports major.minor.patch without leading zeros, suffix or prefix.
func isSemver(s string) bool {
	major, rest, ok := strings.Cut(s, ".")
	minor, patch, ok2 := strings.Cut(rest, ".")
	return ok && ok2 && isVersionPart(major) && isVersionPart(minor) && isVersionPart(patch)
}

func isVersionPart(s string) bool {
	const most = 999_999_999
	if len(s) > 9 {
		return false
	}
	_, ok := parseCount(s, most)
	return ok
}

// isSHA256 reports "sha256:" and 64 lower-case hexadecimal digits.
func isSHA256(s string) bool {
	digits, ok := strings.CutPrefix(s, sha256Prefix)
	var sum [32]byte
	return ok && len(digits) == 64 && unhexLower(sum[:], digits)
}

// A hashForm is a way of writing schema_hash.
type hashForm int

const (
	hashUnknown hashForm = iota
	// hashV1 is ours: over the canonical text of the schema.
	hashV1
	// hashPeer is that of ampy-bus 1.x: over a serialized descriptor, which
	// differs between languages, or over the name alone. It is never compared.
	hashPeer
)

func schemaHashForm(s string) hashForm {
	if rest, ok := strings.CutPrefix(s, "v1:"); ok && isSHA256(rest) {
		return hashV1
	}
	if isSHA256(strings.TrimPrefix(s, "nameonly:")) {
		return hashPeer
	}
	return hashUnknown
}

// unhex fills dst from twice as many hexadecimal digits, in either case, and
// reports success.
func unhex(dst []byte, s string) bool { return unhexWith(&hexEither, dst, s) }

// unhexLower is unhex without upper case.
func unhexLower(dst []byte, s string) bool { return unhexWith(&hexLower, dst, s) }

func unhexWith(values *[256]byte, dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range dst {
		hi, lo := values[s[2*i]], values[s[2*i+1]]
		if hi|lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

// The values of hexadecimal digits, and 255 for other bytes.
var (
	hexLower  = hexTable("0123456789abcdef")
	hexEither = hexTable("0123456789abcdef", "0123456789ABCDEF")
)

func hexTable(alphabets ...string) (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for _, digits := range alphabets {
		for i := range len(digits) {
			values[digits[i]] = byte(i)
		}
	}
	return values
}
