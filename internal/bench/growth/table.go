package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// table prints the curve for people, the exponents below the values.
func (c Curve) table(out io.Writer) error {
	fmt.Fprintf(out, "%s: %s\n", c.Name, c.Title)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, row := range c.rows() {
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, name := range c.superlinear() {
		fmt.Fprintf(out, "grows too fast: %s\n", name)
	}
	fmt.Fprintln(out)
	return nil
}

// markdown prints the curve for a document.
func (c Curve) markdown(out io.Writer) {
	fmt.Fprintf(out, "### %s\n", c.Title)
	for i, row := range c.rows() {
		fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintln(out, "|"+strings.Repeat("---|", len(row)))
		}
	}
	fmt.Fprintln(out)
}

// rows are the names, the values of each point, and the exponents.
func (c Curve) rows() [][]string {
	names, powers := []string{c.X}, []string{"power of " + c.X}
	for i, col := range c.Columns {
		names = append(names, col.Name)
		power, ok := c.exponent(i)
		if ok {
			powers = append(powers, strconv.FormatFloat(power, 'f', 2, 64))
		} else {
			powers = append(powers, "-")
		}
	}
	rows := [][]string{names}
	for _, p := range c.Points {
		row := []string{figure(p.X)}
		for _, y := range p.Y {
			row = append(row, figure(y))
		}
		rows = append(rows, row)
	}
	return append(rows, powers)
}

// figure has three digits, or all before the point.
func figure(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v >= 100 || v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
