package ampybus

import (
	"strings"
	"unicode/utf8"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// valueFault says what would make a header's value arrive altered, or harm who
// prints it: nats.go trims spaces and replaces line ends without a word. ascii
// is false when the value holds more than printable ASCII.
func valueFault(v string) (fault string, ascii bool) {
	if !isPrintable(v) {
		return slowValueFault(v)
	}
	if v != "" && (v[0] == ' ' || v[len(v)-1] == ' ') {
		return "space at an end", true
	}
	return "", true
}

// isPrintable reports printable ASCII only. Every value of every record passes
// here twice, so it looks at eight bytes at a time.
func isPrintable(v string) bool {
	const each = 0x0101010101010101
	const high = 0x80 * each
	for ; len(v) >= 8; v = v[8:] {
		x := uint64(v[0]) | uint64(v[1])<<8 | uint64(v[2])<<16 | uint64(v[3])<<24 |
			uint64(v[4])<<32 | uint64(v[5])<<40 | uint64(v[6])<<48 | uint64(v[7])<<56
		// A byte under the space borrows, one over the tilde carries, into its
		// top bit, which must be clear to begin with.
		if (x|(x-' '*each)|(x+each))&high != 0 {
			return false
		}
	}
	for i := range len(v) {
		if v[i] < ' ' || v[i] > '~' {
			return false
		}
	}
	return true
}

func slowValueFault(v string) (fault string, ascii bool) {
	if !utf8.ValidString(v) {
		return "invalid UTF-8", false
	}
	for _, r := range v {
		if isControl(r) {
			return "control character", false
		}
		if isInvisible(r) {
			return "invisible or direction-changing character", false
		}
	}
	if strings.TrimSpace(v) != v {
		return "space at an end", false
	}
	return "", false
}

// isControl reports C0, DEL and C1.
func isControl(r rune) bool { return r < ' ' || 0x7f <= r && r <= 0x9f }

// isInvisible reports line and paragraph separators, bidirectional controls,
// zero-width characters and the byte order mark.
func isInvisible(r rune) bool {
	switch {
	case r == 0x061c, r == 0xfeff, 0x200b <= r && r <= 0x200f,
		0x2028 <= r && r <= 0x202e, 0x2060 <= r && r <= 0x2069:
		return true
	}
	return false
}

// PercentEncode makes any text fit for a header value: bytes outside printable
// ASCII, the percent sign, and spaces at the ends become %XX.
func PercentEncode(s string) string {
	if fault, ascii := valueFault(s); fault == "" && ascii && !strings.Contains(s, "%") {
		return s
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		edge := i == 0 || i == len(s)-1
		if c < ' ' || c > '~' || c == '%' || c == ' ' && edge {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// PercentDecode is the reverse of PercentEncode. A percent sign that begins no
// escape stays as it is.
func PercentDecode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		var c [1]byte
		if s[i] == '%' && i+2 < len(s) && unhex(c[:], s[i+1:i+3]) {
			b = append(b, c[0])
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// isReserved reports names that a broker reads as commands (Nats-Rollup,
// Nats-TTL, Nats-Expected-Stream) or that Kafka tools keep for themselves.
func isReserved(name string) bool {
	const nats = "nats-"
	return strings.HasPrefix(name, "__") || len(name) >= len(nats) && strings.EqualFold(name[:len(nats)], nats)
}

// isHeaderName allows names that every broker carries unchanged.
func isHeaderName(name string) bool {
	if name == "" || len(name) > MaxTokenBytes {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// headerBlockBytes is the size of hs as NATS writes it.
func headerBlockBytes(hs []driver.Header) int {
	const frame = len("NATS/1.0\r\n\r\n")
	const line = len(": \r\n")
	n := frame
	for i := range hs {
		n += len(hs[i].Name) + len(hs[i].Value) + line
	}
	return n
}
