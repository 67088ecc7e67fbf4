package architecture

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTestingPageNamesEveryMutant reads both ways: a mutant that the page does
// not name guards a promise that nobody can find, and a name without a mutant
// promises a proof that is not there.
func TestTestingPageNamesEveryMutant(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	mutants := mutantNames(t)
	for name := range mutants {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/testing.md does not name mutant %s", name)
		}
	}
	name := regexp.MustCompile("`([a-z]+(?:-[a-z]+)+)`")
	for row := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(row), "|")
		const columns = 3
		if len(cells) != columns+2 {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(cells[columns], -1) {
			if !mutants[m[1]] {
				t.Errorf("docs/testing.md names mutant %s, which is not in the code", m[1])
			}
		}
	}
}

func mutantNames(t *testing.T) map[string]bool {
	t.Helper()
	call := regexp.MustCompile(`mutant\.On\("([a-z0-9-]+)"\)`)
	names := map[string]bool{}
	for _, dir := range []string{"pkg", "internal", "cmd", "test", "examples"} {
		walk(t, dir, func(path string) {
			if !strings.HasSuffix(path, ".go") {
				return
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range call.FindAllStringSubmatch(string(text), -1) {
				names[m[1]] = true
			}
		})
	}
	return names
}
