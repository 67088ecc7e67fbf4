// Command testsummary reads the events of `go test -json` on standard input and
// prints one line per package, the output of what failed, every skipped test
// with its reason, and a closing line with the counts. It exits 1 when anything
// failed.
//
//	go test -json ./... | go run ./tools/testsummary
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	s := newSummary(os.Stdout)
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsummary: read events:", err)
		os.Exit(1)
	}
	if !s.close() {
		os.Exit(1)
	}
}

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of build events
	Elapsed                       float64
}

// summary counts tests and holds back their output until they fail.
type summary struct {
	out     io.Writer
	output  map[string][]string // by package and test
	skipped []string
	start   time.Time

	tests, failed, packages, failedPackages, bare int
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, output: map[string][]string{}, start: time.Now()}
}

// read takes lines until the end; a line that is no event is printed as it is.
func (s *summary) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) == nil:
			s.take(e)
		default:
			fmt.Fprintf(s.out, "%s", line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *summary) take(e event) {
	id := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "output":
		s.output[id] = append(s.output[id], e.Output)
	case "pass", "fail", "skip":
		s.end(e, id)
		delete(s.output, id)
	}
}

// end counts a test or a package that has finished.
func (s *summary) end(e event, id string) {
	switch {
	case e.Test == "":
		s.endPackage(e)
	case e.Action == "pass":
		s.tests++
	case e.Action == "skip":
		s.skipped = append(s.skipped, id+reason(s.output[id]))
	default:
		s.tests++
		s.failed++
		s.dump(id)
	}
}

func (s *summary) endPackage(e event) {
	switch e.Action {
	case "skip":
		s.bare++
	case "pass":
		s.packages++
		fmt.Fprintf(s.out, "ok    %6.1fs  %s\n", e.Elapsed, e.Package)
	default:
		s.packages++
		s.failedPackages++
		s.dumpPackage(e.Package)
		fmt.Fprintf(s.out, "FAIL  %6.1fs  %s\n", e.Elapsed, e.Package)
	}
}

func (s *summary) dump(id string) {
	for _, line := range s.output[id] {
		if !strings.HasPrefix(line, "=== ") {
			fmt.Fprint(s.out, line)
		}
	}
}

// dumpPackage prints what a package said outside of its finished tests: the
// stack of a panic or of a timeout belongs to a test that never ended.
func (s *summary) dumpPackage(name string) {
	for _, id := range slices.Sorted(maps.Keys(s.output)) {
		if strings.HasPrefix(id, name+" ") {
			s.dump(id)
			delete(s.output, id)
		}
	}
}

// reason is what a skipped test said last before its "--- SKIP" line.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		if l := output[i]; len(l) > 4 && l[:4] == "    " && l[4] != '-' {
			return ": " + l[4:len(l)-1]
		}
	}
	return ""
}

// close prints the closing line and reports whether all went well.
func (s *summary) close() bool {
	for _, line := range s.skipped {
		fmt.Fprintln(s.out, "SKIP ", line)
	}
	fmt.Fprintf(s.out, "%d tests in %d packages: %d passed, %d failed, %d skipped (%.0fs)\n",
		s.tests+len(s.skipped), s.packages, s.tests-s.failed, s.failed, len(s.skipped), time.Since(s.start).Seconds())
	if s.failedPackages > 0 {
		fmt.Fprintf(s.out, "%d packages failed\n", s.failedPackages)
	}
	return s.failed == 0 && s.failedPackages == 0
}
