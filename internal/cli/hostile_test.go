package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// hostileStrings are what a peer may write into headers to reach a terminal, a
// log, a shell or a file system.
func hostileStrings() []string {
	return []string{
		"\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]52;c;ZXZpbA==\x07", "\x1bP+q544e\x1b\\", "\x1b[6n",
		"\u009b31m", "\u0090$q\u009c", "\u0085", "\x9b31m", "\x7f\x7f\x7f",
		"\x00", "a\rb", "a\nb", "a\r\n[publish] ack stream=FAKE", "\t\v\f",
		"\b\b\b\b", "\u2028line", "\u2029paragraph", "\u202egpj.exe", "\u2066\u2067\u2068\u2069",
		"\u200f\u061c", "\u200b\u2060\ufeff", "\U000e0041\U000e007f", "\xff\xfe", "\xc3(",
		"\xed\xa0\x80", "../../../etc/passwd", "$(reboot)`reboot`", `{"json":"inside"}`, `x" msg_id="forged`,
		"x msg_id=forged", "%s%n%x", "\x1b[8mhidden\x1b[0m",
	}
}

func TestNothingFromTheBrokerReachesATerminalUnescaped(t *testing.T) {
	h := newHarness(t)
	for i, s := range hostileStrings() {
		h.storeHostile("ampy.dev.bars.v1.XNAS.AAPL", s, i)
		h.storeHostile("ampy.dev.dlq.v1.bars", s, i)
	}
	const bars, dead = "ampy.dev.bars.>", "ampy.dev.dlq.v1.>"
	dir := t.TempDir()
	for _, args := range [][]string{
		{"sub", "--subject", bars, "--no-follow"},
		{"sub", "--subject", bars, "--no-follow", "--headers", "--decode"},
		{"sub", "--subject", bars, "--durable", "g", "--timeout", "300ms", "--log-level", "debug"},
		{"dlq-inspect", "--subject", dead},
		{"dlq-inspect", "--subject", dead, "--headers", "--decode", "--outdir", dir},
		{"dlq-inspect", "--subject", dead, "--where", `reason contains "" && retry_count < 5`},
		{"dlq", "show", "--subject", dead, "--origin", "ampy.dev.dlq:1"},
		{"dlq", "show", "--subject", dead, "--origin", "ampy.dev.dlq:2"},
		{"dlq", "edit", "--subject", dead, "--origin", "ampy.dev.dlq:2", "--outdir", t.TempDir()},
		{"dlq-redrive", "--subject", dead, "--dry-run", "--log-level", "debug"},
		{"dlq-redrive", "--subject", dead, "--force", "--log-level", "debug"},
		{"dlq-inspect", "--subject", dead, "--all"},
		{"streams"},
		{"lag", "--group", "g"},
	} {
		for _, output := range []string{"table", "json"} {
			r := h.run(append(args, "-o", output)...)
			checkShown(t, args, r.out)
			checkShown(t, args, r.err)
			if output == "json" {
				checkJSONLines(t, args, r.out)
			} else {
				checkLines(t, args, r.out)
			}
		}
	}
	checkNames(t, dir)
}

// storeHostile stores a message of which every header that may hold text holds
// the hostile one.
func (h *harness) storeHostile(topic, s string, i int) {
	h.t.Helper()
	hs := []driver.Header{
		{Name: "x-" + s, Value: s},
		{Name: "raw_headers", Value: s},
		{Name: ampybus.HeaderContentType, Value: ampybus.ContentTypeProtobuf},
		{Name: ampybus.HeaderMessageID, Value: ampybus.NewID()},
		{Name: ampybus.HeaderSchemaFQDN, Value: "ampy.bars.v1.BarBatch"},
		{Name: ampybus.HeaderProducedAt, Value: "2025-09-05T19:31:01Z"},
		{Name: ampybus.HeaderPartitionKey, Value: s},
		{Name: ampybus.HeaderProducer, Value: s},
		{Name: ampybus.HeaderSource, Value: s},
		{Name: ampybus.HeaderRunID, Value: s},
		{Name: ampybus.HeaderTopic, Value: topic},
	}
	if i%3 == 0 { // headers that cannot even be read
		hs[2].Value, hs[3].Value, hs[4].Value, hs[5].Value = s, s, s, s
	}
	if strings.Contains(topic, ".dlq.") {
		hs = append(hs, driver.Header{Name: ampybus.HeaderDLQReason, Value: "handler: " + s}, driver.Header{Name: ampybus.HeaderDLQGroup, Value: s})
		target := "ampy.dev.bars.v1." + s
		if i%2 == 0 {
			target = "ampy.dev.bars.v1.XNAS.AAPL"
		}
		hs = append(hs, driver.Header{Name: ampybus.HeaderDLQTopic, Value: target}, driver.Header{Name: ampybus.HeaderDLQOrigin, Value: s})
	}
	h.store(driver.Record{Topic: topic, Key: s, Headers: hs, Value: []byte(s)})
}

func checkShown(t *testing.T, args []string, s string) {
	t.Helper()
	for _, r := range s {
		if r != '\n' && r != '\t' && (r == utf8.RuneError || !unicode.IsPrint(r)) {
			t.Fatalf("%q prints %U: %.300q", args, r, s)
		}
	}
}

// checkLines: no hostile line break makes a line of its own.
func checkLines(t *testing.T, args []string, s string) {
	t.Helper()
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, "[publish]") || strings.HasPrefix(line, "b\n") {
			t.Errorf("%q prints a forged line %q", args, line)
		}
		if strings.HasPrefix(line, "[") && strings.Count(line, " msg_id=") > 1 {
			t.Errorf("%q prints a forged pair: %q", args, line)
		}
	}
}

func checkJSONLines(t *testing.T, args []string, s string) {
	t.Helper()
	for line := range strings.Lines(s) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q prints what is no JSON: %.300q", args, line)
		}
	}
}

// checkNames: files of dead letters have names of ours.
func checkNames(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 2*len(hostileStrings()) {
		t.Fatalf("%d files, want %d or more: %v", len(entries), 2*len(hostileStrings()), err)
	}
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789abcdef-") != ".bin" && strings.Trim(e.Name(), "0123456789abcdef-") != ".json" {
			t.Errorf("a message chose the file name %q", filepath.Join(dir, e.Name()))
		}
	}
}
