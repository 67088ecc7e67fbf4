package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
)

// printTable prints rows under a header, without borders, so that other
// programs can cut it. Every cell is escaped.
func printTable(out io.Writer, header []string, rows [][]string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, cells := range append([][]string{header}, rows...) {
		safe := make([]string, len(cells))
		for i, c := range cells {
			safe[i] = terminal.Escape(c)
		}
		fmt.Fprintln(w, strings.Join(safe, "\t"))
	}
	_ = w.Flush()
}

// printDocs prints a line of JSON for each document, or a table with a row for
// each, as -o says.
func printDocs[T any](a *app, docs []T, header []string, row func(T) []string) error {
	if a.output != formatJSON {
		rows := make([][]string, len(docs))
		for i, d := range docs {
			rows[i] = row(d)
		}
		printTable(a.out, header, rows)
		return nil
	}
	for _, d := range docs {
		if err := a.printJSON(d); err != nil {
			return err
		}
	}
	return nil
}

// indentLines indents all lines but the first.
func indentLines(s, indent string) string { return strings.ReplaceAll(s, "\n", "\n"+indent) }
