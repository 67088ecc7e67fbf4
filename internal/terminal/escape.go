// Package terminal makes text from elsewhere safe to print: a header on the bus
// can hold escape sequences that rewrite a terminal, or line breaks that forge a
// line of a log (CWE-117, CWE-150).
//
// It is not for data at rest: escaping loses nothing to the eye, but it cannot
// be reversed, because a backslash stands for itself.
package terminal

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
)

// Escape makes s safe on one line: everything that is not printable, a line
// break and a tab too, becomes \uXXXX, and a byte that is not UTF-8 becomes
// \xXX. Escaping twice changes nothing more. JSON text stays the same JSON.
func Escape(s string) string { return escape(s, false) }

// EscapeText is Escape for text of several lines: line feeds and tabs stay.
func EscapeText(s string) string { return escape(s, true) }

// Field is Escape for a value in a line of key=value pairs. A value with a space
// is quoted, and has no = left that a reader could take for a further pair.
func Field(s string) string {
	s = Escape(s)
	if s == "" || strings.ContainsAny(s, " \"") {
		return `"` + strings.NewReplacer(`"`, `\"`, "=", `\u003d`).Replace(s) + `"`
	}
	return s
}

func escape(s string, lines bool) string {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !safe(r, n, lines) {
			return s[:i] + escapeFrom(s[i:], lines)
		}
		i += n
	}
	return s
}

func escapeFrom(s string, lines bool) string {
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if safe(r, n, lines) {
			b = append(b, s[i:i+n]...)
		} else {
			b = appendEscaped(b, r, s[i:i+n])
		}
		i += n
	}
	return string(b)
}

// safe allows what strconv.IsPrint does: letters, marks, numbers, punctuation,
// symbols and the ASCII space. That leaves out C0, C1, DEL, U+2028 and U+2029,
// and with the format characters all bidirectional controls.
func safe(r rune, n int, lines bool) bool {
	if r == utf8.RuneError && n == 1 {
		return false
	}
	return mutant.On("raw-terminal-output") || strconv.IsPrint(r) || lines && (r == '\n' || r == '\t')
}

// appendEscaped writes r as JSON does, so that JSON text stays valid.
func appendEscaped(b []byte, r rune, raw string) []byte {
	if r == utf8.RuneError && len(raw) == 1 {
		return appendHex(append(b, `\x`...), uint16(raw[0]), 2)
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		b = appendHex(append(b, `\u`...), uint16(high), 4)
		return appendHex(append(b, `\u`...), uint16(low), 4)
	}
	return appendHex(append(b, `\u`...), uint16(r), 4)
}

func appendHex(b []byte, v uint16, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&0xf])
	}
	return b
}
