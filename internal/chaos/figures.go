package chaos

import (
	"fmt"
	"os"
	"strings"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/ampytest"
)

const (
	figuresBegin = "<!-- figures: rewritten by make chaos -->\n"
	figuresHead  = "| Scenario | Messages | Faults | Came again, no effect | Lost | Twice | Out of order |\n|---|---|---|---|---|---|---|\n"
	figuresEnd   = "<!-- end -->"
)

// Figures logs what a scenario measured, as a row of a table, and puts it into
// the table on a page in the place of an older row of that name. An empty page
// means none.
func (s *Scene) Figures(page, name, faults string, r *ampytest.Report) {
	s.TB.Helper()
	row := fmt.Sprintf("| %s | %d | %s | %d | %d | %d | %d |\n",
		name, r.Published, faults, s.Store.Count(Repeat)+s.Store.Count(Fenced), r.Lost(),
		r.Count(ampytest.EffectTwice, ampytest.EffectStale, ampytest.StoredTwice),
		r.Count(ampytest.KeyInverted, ampytest.StoredInverted))
	s.TB.Log(row)
	if page == "" || s.TB.Failed() {
		return
	}
	text, err := os.ReadFile(page)
	if err == nil {
		text, err = withRow(string(text), name, row)
	}
	if err == nil {
		err = os.WriteFile(page, text, 0o600) //nolint:gosec // the page that its caller names
	}
	if err != nil {
		s.TB.Errorf("write figures to %s: %v", page, err)
	}
}

// withRow puts a row into the table between the markers of a page.
func withRow(page, name, row string) ([]byte, error) {
	before, rest, found := strings.Cut(page, figuresBegin)
	table, after, ended := strings.Cut(rest, figuresEnd)
	if !found || !ended {
		return nil, fmt.Errorf("no table between %q and %q", figuresBegin, figuresEnd)
	}
	var rows strings.Builder
	placed := false
	for old := range strings.Lines(strings.TrimPrefix(table, figuresHead)) {
		if strings.HasPrefix(old, "| "+name+" |") {
			old, placed = row, true
		}
		rows.WriteString(old)
	}
	if !placed {
		rows.WriteString(row)
	}
	return []byte(before + figuresBegin + figuresHead + rows.String() + figuresEnd + after), nil
}
