// Package architecture holds what must be true of the tree as a whole and that
// no linter sees, because a linter looks at direct imports only.
package architecture

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/AmpyFin/ampy-bus"
)

// imports lists what the files of one of our packages import, tests aside.
func imports(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no Go files (%v)", dir, err)
	}
	var found []string
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, name)
		}
	}
	return found
}

// dependencies are the packages that dir links: all of ours, however far, and
// what these import of others.
func dependencies(t *testing.T, dir string) []string {
	t.Helper()
	seen := map[string]bool{}
	var visit func(dir string)
	visit = func(dir string) {
		for _, name := range imports(t, dir) {
			if seen[name] {
				continue
			}
			seen[name] = true
			if rest, ours := strings.CutPrefix(name, module+"/"); ours {
				visit(rest)
			}
		}
	}
	visit(dir)
	found := make([]string, 0, len(seen))
	for name := range seen {
		found = append(found, name)
	}
	slices.Sort(found)
	return found
}

func refuse(t *testing.T, dir string, forbidden ...string) {
	t.Helper()
	for _, dep := range dependencies(t, dir) {
		for _, f := range forbidden {
			if strings.HasPrefix(dep, f) {
				t.Errorf("%s links %s", dir, dep)
			}
		}
	}
}

// library lists the packages under pkg/ that hold more than tests.
func library(t *testing.T) []string {
	t.Helper()
	var dirs []string
	walk(t, "pkg", func(path string) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	})
	if len(dirs) == 0 {
		t.Fatal("no packages found under pkg/")
	}
	return dirs
}

func TestLibraryLinksNoBrokerAndNoCommand(t *testing.T) {
	for _, dir := range library(t) {
		refuse(t, dir, "github.com/nats-io/nats-server", "github.com/twmb/franz-go/pkg/kfake", "github.com/spf13/cobra",
			module+"/internal/cli", module+"/internal/natsserver", module+"/internal/brokertest")
	}
}

func TestBusLinksNoClientOfABroker(t *testing.T) {
	refuse(t, "pkg/ampybus", "github.com/nats-io/", "github.com/twmb/", module+"/pkg/ampybus/natsbinding")
}

func TestDriverSeamLinksNothing(t *testing.T) {
	refuse(t, "pkg/ampybus/driver", module, "github.com/", "google.golang.org/")
}

// TestNothingSleeps: a sleep in a test is a race that somebody will lose, and
// in the code a wait that nobody can cancel. Inside testing/synctest the clock
// is the bubble's own, so a sleep there takes no time and hides no race.
func TestNothingSleeps(t *testing.T) {
	sleeping, bubbled := []string{}, map[string]bool{}
	for _, dir := range []string{"pkg", "internal", "cmd", "test", "tools"} {
		walk(t, dir, func(path string) {
			if !strings.HasSuffix(path, ".go") {
				return
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(text, []byte(`"testing/synctest"`)) {
				bubbled[filepath.Dir(path)] = true
			}
			if bytes.Contains(text, []byte("time."+"Sleep(")) {
				sleeping = append(sleeping, path)
			}
		})
	}
	for _, path := range sleeping {
		if !strings.HasSuffix(path, "_test.go") || !bubbled[filepath.Dir(path)] {
			t.Errorf("%s sleeps outside testing/synctest: use a timer with a context, or a channel", path)
		}
	}
}

func TestMainIsAtMostTwentyLines(t *testing.T) {
	mains, err := filepath.Glob(root + "/cmd/*/*.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("no commands found under cmd/ (%v)", err)
	}
	for _, path := range mains {
		if n := lines(t, path); n > 20 {
			t.Errorf("%s has %d lines: what a command does lives in internal/cli", path, n)
		}
	}
}

// TestReadmeIsShort: whoever comes new reads all of it.
func TestReadmeIsShort(t *testing.T) {
	if n := lines(t, root+"/README.md"); n > 200 {
		t.Errorf("README.md has %d lines, want at most 200", n)
	}
}

func lines(t *testing.T, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}
