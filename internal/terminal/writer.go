package terminal

import (
	"io"
	"sync"
	"unicode/utf8"
)

// Writer applies EscapeText to all that is written through it: the last line of
// defence for a string that nobody escaped. It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	w    io.Writer
	rest []byte // the beginning of a character whose other bytes are to come
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := append(w.rest, p...)
	whole := len(b) - partial(b)
	_, err := io.WriteString(w.w, EscapeText(string(b[:whole])))
	w.rest = append([]byte(nil), b[whole:]...)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes, escaped, what is left of a character that was never completed.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.rest
	w.rest = nil
	_, err := io.WriteString(w.w, EscapeText(string(rest)))
	return err
}

// partial is the number of bytes at the end of b that may begin a character.
func partial(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		tail := b[len(b)-n:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
