package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscapeShowsWhatATerminalWouldObey(t *testing.T) {
	for in, want := range map[string]string{
		"XNAS.AAPL":            "XNAS.AAPL",
		"日本 é €":               "日本 é €",
		"\x1b[2J":              `\u001b[2J`,
		"a\r\nb\tc":            `a\u000d\u000ab\u0009c`,
		"\x00\x7f":             `\u0000\u007f`,
		"\u0085\u009b31m":      `\u0085\u009b31m`,
		"\u2028\u2029":         `\u2028\u2029`,
		"\u202eevil\u2066":     `\u202eevil\u2066`,
		"\u200b\ufeff":         `\u200b\ufeff`,
		"\U000e0041":           `\udb40\udc41`,
		"\x9b31m":              `\x9b31m`,
		"\u00a0":               `\u00a0`,
		`already \u001b shown`: `already \u001b shown`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestEscapeTextKeepsLinesAndTabs(t *testing.T) {
	if got := EscapeText("a\n\tb\r"); got != "a\n\tb\\u000d" {
		t.Errorf("got %q", got)
	}
}

func TestFieldCannotForgeAnotherPair(t *testing.T) {
	for in, want := range map[string]string{
		"XNAS.AAPL":     "XNAS.AAPL",
		"":              `""`,
		"ES=F":          "ES=F",
		"x msg_id=evil": `"x msg_id\u003devil"`,
		`x" msg_id="y`:  `"x\" msg_id\u003d\"y"`,
		"x\nmsg_id=y":   `x\u000amsg_id=y`,
	} {
		if got := Field(in); got != want {
			t.Errorf("Field(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestWriterEscapesCharactersThatArriveInPieces(t *testing.T) {
	const text = "é\u202e日\x1b\U000e0041\n"
	var whole, pieces bytes.Buffer
	w := NewWriter(&whole)
	write(t, w, text)
	p := NewWriter(&pieces)
	for i := range len(text) {
		write(t, p, text[i:i+1])
	}
	if want := EscapeText(text); whole.String() != want || pieces.String() != want {
		t.Errorf("whole %q, in pieces %q, want %q", whole.String(), pieces.String(), want)
	}
}

func TestWriterFlushShowsAnUnfinishedCharacter(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	write(t, w, "a\xe6")
	if out.String() != "a" {
		t.Errorf("before Flush: %q", out.String())
	}
	if err := w.Flush(); err != nil || out.String() != `a\xe6` {
		t.Errorf("after Flush: %q, %v", out.String(), err)
	}
}

func write(t *testing.T, w *Writer, s string) {
	t.Helper()
	if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", s, n, err)
	}
}

func FuzzTerminalEscape(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b]0;t\x07", "\x9b", "a\r\nb", "\u202e", "\U000e0041", `\`, "\xf0\x9f", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := Escape(s)
		if twice := Escape(once); twice != once {
			t.Errorf("not idempotent: %q, then %q", once, twice)
		}
		checkSafe(t, once)
		if strings.ContainsAny(Field(s), "\n\t") {
			t.Errorf("Field(%q) breaks the line", s)
		}
		var out bytes.Buffer
		w := NewWriter(&out)
		cut := len(s) / 2
		write(t, w, s[:cut])
		write(t, w, s[cut:])
		if err := w.Flush(); err != nil || out.String() != EscapeText(s) {
			t.Errorf("writer: %q, want %q", out.String(), EscapeText(s))
		}
		checkJSON(t, s)
	})
}

func checkSafe(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("%q is not UTF-8", s)
	}
	for _, r := range s {
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			t.Errorf("%q holds %U", s, r)
		}
	}
}

// checkJSON: JSON through Escape is JSON of the same value.
func checkJSON(t *testing.T, s string) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got, want string
	if err := json.Unmarshal([]byte(Escape(string(text))), &got); err != nil {
		t.Fatalf("escaped JSON of %q: %v", s, err)
	}
	if err := json.Unmarshal(text, &want); err != nil || got != want {
		t.Errorf("JSON of %q became %q", want, got)
	}
}
