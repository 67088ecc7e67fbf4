package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func dumped(t *testing.T, dir, ext string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+ext))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestADumpHoldsPayloadAndHeadersForTheUserAlone(t *testing.T) {
	h := newHarness(t)
	hs := h.dead(topic, "XNAS.AAPL", 0)
	dir := filepath.Join(t.TempDir(), "a", "dump")
	h.run("dlq-inspect", "--subject", barsDead, "--outdir", dir).wants(t, ExitOK, "file: "+dir)
	h.run("dlq-inspect", "--subject", barsDead, "--outdir", dir).wants(t, ExitOK) // the same again is no conflict

	payloads, headers := dumped(t, dir, ".bin"), dumped(t, dir, ".json")
	if len(payloads) != 1 || len(headers) != 1 {
		t.Fatalf("%v, %v", payloads, headers)
	}
	var doc deadLetterDoc
	text, err := os.ReadFile(headers[0])
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil || doc.Headers["message_id"] != hs.MessageID || doc.Target != topic {
		t.Errorf("%v: %s", err, text)
	}
	for path, want := range map[string]os.FileMode{dir: dumpDirMode, payloads[0]: dumpFileMode, headers[0]: dumpFileMode} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v (%v)", path, info.Mode().Perm(), want, err)
		}
	}
}

func TestADumpFollowsNoLinkAndReplacesNoFile(t *testing.T) {
	h := newHarness(t)
	h.dead(topic, "XNAS.AAPL", 0)
	dir := t.TempDir()
	h.run("dlq-inspect", "--subject", barsDead, "--outdir", dir).wants(t, ExitOK)
	name := dumped(t, dir, ".bin")[0]
	victim := filepath.Join(t.TempDir(), "victim")
	for _, c := range []struct {
		what  string
		place func() error
	}{
		{"a link to a file", func() error { return os.Symlink(victim, name) }},
		{"another file", func() error { return os.WriteFile(name, []byte("mine"), 0o600) }},
		{"a directory", func() error { return os.Mkdir(name, 0o700) }},
	} {
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.place(); err != nil {
			t.Fatal(err)
		}
		h.run("dlq-inspect", "--subject", barsDead, "--outdir", dir).wants(t, ExitFailure, "--outdir: ", "file exists")
		if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
			t.Errorf("%s: the victim holds %q, %v", c.what, b, err)
		}
	}
	h.run("dlq-inspect", "--subject", barsDead).wants(t, ExitOK, "[dlq]") // nothing was settled
}

func TestADirectoryThatCannotBeWrittenIsNamed(t *testing.T) {
	h := newHarness(t)
	h.dead(topic, "XNAS.AAPL", 0)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.run("dlq-inspect", "--subject", barsDead, "--outdir", file).wants(t, ExitUsage, "--outdir: ", file)
	h.run("dlq-inspect", "--subject", barsDead, "--outdir", filepath.Join(file, "below")).wants(t, ExitUsage, "--outdir: ", "not a directory")
	h.run("dlq-inspect", "--subject", barsDead, "--outdir", "/proc/self/dump").wants(t, ExitUsage, "--outdir: ", "/proc/self/dump")
}

func TestNothingIsAskedOfTheBrokerWhenTheDumpCannotBeWritten(t *testing.T) {
	h := newHarness(t)
	r := h.run("dlq-inspect", "--subject", barsDead, "--outdir", "/proc/self/dump")
	if r.code != ExitUsage || strings.Contains(r.out, "[dlq]") {
		t.Errorf("%+v", r)
	}
}
