package architecture

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/drivertest"
)

var update = flag.Bool("update", false, "rewrite the tables of the documents that are made from the code")

func TestContractPageSaysWhatTheTablesSay(t *testing.T) {
	current(t, root+"/docs/contract.md", map[string]string{"domains": domainTable(), "headers": headerTable()})
}

func TestTestingPageListsEveryPromiseOfADriver(t *testing.T) {
	current(t, root+"/docs/testing.md", map[string]string{"promises": promiseTable()})
}

// current compares the tables of a page with what the code says.
func current(t *testing.T, path string, tables map[string]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for name, table := range tables {
		begin := "<!-- " + name + ": rewritten by make golden -->\n"
		head, rest, ok := strings.Cut(page, begin)
		_, tail, closed := strings.Cut(rest, "<!-- end -->")
		if !ok || !closed {
			t.Fatalf("%s lacks the marks of table %s", path, name)
		}
		page = head + begin + table + "<!-- end -->" + tail
	}
	if page == string(text) {
		return
	}
	if !*update {
		t.Fatalf("the tables of %s are not what the code says: run make golden", path)
	}
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

func promiseTable() string {
	var b strings.Builder
	b.WriteString("| Promise | |\n|---|---|\n")
	for _, p := range drivertest.Promises() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", p.Name, strings.ReplaceAll(p.Text, "|", `\|`))
	}
	return b.String()
}

func domainTable() string {
	var b strings.Builder
	b.WriteString("| Domain | Subtopic | Partition key | Default payload | Class | Budget | On dead | Kept | Dedupe window |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for _, d := range ampybus.Domains() {
		p, _ := ampybus.PolicyFor(d)
		payload := p.DefaultSchema[strings.LastIndexByte(p.DefaultSchema, '.')+1:]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %d × / %s | %s | %d days | %s |\n",
			d, code(p.Subtopic), code(p.PartitionKey), code(payload), p.Class,
			p.Retry.Attempts, short(p.Retry.Elapsed), p.OnDead, p.Retention/(24*time.Hour), short(p.DedupeWindow))
	}
	return b.String()
}

func headerTable() string {
	var b strings.Builder
	b.WriteString("| Header | | Form | Bytes | |\n|---|---|---|---|---|\n")
	for _, h := range ampybus.HeaderSpecs() {
		var need []string
		for _, n := range []struct {
			is   bool
			name string
		}{{h.Required, "required"}, {h.Vital, "vital"}, {h.Bus, "bus only"}} {
			if n.is {
				need = append(need, n.name)
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %d | %s |\n", h.Name, strings.Join(need, ", "), h.Kind, h.MaxBytes, h.Doc)
	}
	return b.String()
}

// code quotes alternatives one by one; a bar inside a table must be escaped.
func code(shapes string) string {
	if shapes == "" {
		return ""
	}
	var quoted []string
	for shape := range strings.SplitSeq(shapes, " | ") {
		quoted = append(quoted, "`"+strings.ReplaceAll(shape, "|", `\|`)+"`")
	}
	return strings.Join(quoted, ", ")
}

// short writes 2 m instead of 2m0s.
func short(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d m", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
