package main

import (
	"strings"
	"testing"
)

const passed = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: needs PostgreSQL: make chaos\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"pass","Package":"p","Elapsed":0.2}
{"Action":"skip","Package":"without/tests","Elapsed":0}
`

const failed = `{"Action":"output","Package":"q","Test":"TestC","Output":"    c_test.go:9: lost 1\n"}
{"Action":"fail","Package":"q","Test":"TestC","Elapsed":0.1}
{"Action":"fail","Package":"q","Elapsed":0.2}
`

const broken = `{"ImportPath":"r","Action":"build-output","Output":"r/x.go:1:1: syntax error\n"}
{"ImportPath":"r","Action":"build-fail"}
{"Action":"output","Package":"r","Output":"FAIL\tr [build failed]\n"}
{"Action":"fail","Package":"r","Elapsed":0,"FailedBuild":"r"}
`

const panicked = `{"Action":"output","Package":"s","Test":"TestD","Output":"panic: test timed out\\n"}
{"Action":"fail","Package":"s","Elapsed":9}
`

func TestSummarySaysWhatHappened(t *testing.T) {
	for _, c := range []struct {
		name, in string
		ok       bool
		want     []string
		not      string
	}{
		{"passed", passed, true, []string{"2 tests in 1 packages: 1 passed, 0 failed, 1 skipped", "SKIP  p TestB: b_test.go:7: needs PostgreSQL: make chaos"}, "quiet"},
		{"failed", passed + failed, false, []string{"c_test.go:9: lost 1", "FAIL     0.2s  q", "1 failed", "1 packages failed"}, "quiet"},
		{"broken build", broken, false, []string{"r/x.go:1:1: syntax error", "FAIL     0.0s  r"}, "\t\t"},
		{"unfinished test", panicked, false, []string{"panic: test timed out", "1 packages failed"}, "ok "},
		{"no event", "go: no such package\n", true, []string{"go: no such package", "0 tests"}, "FAIL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			s := newSummary(&out)
			if err := s.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			if ok := s.close(); ok != c.ok {
				t.Errorf("close() = %v, want %v", ok, c.ok)
			}
			for _, w := range c.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("summary lacks %q:\n%s", w, out.String())
				}
			}
			if strings.Contains(out.String(), c.not) {
				t.Errorf("summary holds %q:\n%s", c.not, out.String())
			}
		})
	}
}
