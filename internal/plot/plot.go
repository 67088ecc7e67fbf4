// Package plot draws lines on two logarithmic axes, as SVG: enough to see how
// fast something grows.
package plot

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Plot is one picture. All values must be positive.
type Plot struct {
	Title string
	Note  string // under the title, in one line
	X, Y  Axis
	Lines []Line
	Limit *Limit // a value of y not to be passed
}

// Axis is one axis.
type Axis struct {
	Name string
	// At holds the values to label. Nil: steps of 1, 2, 5 or of powers of ten
	// around the values of the lines.
	At []float64
	// Label writes a value. Nil: as a number.
	Label func(float64) string
}

// Line is one curve. Its name stands beside its last point, so nobody has to
// look up a legend.
type Line struct {
	Name  string
	X, Y  []float64
	Hue   int // lines of one hue belong together
	Style Style
}

// Style tells lines of one hue apart, without colour.
type Style int

// The styles of a line.
const (
	Solid Style = iota
	Dashed
	Dotted
	Guide // not measured, to compare with: grey and dashed
)

// Limit is drawn across.
type Limit struct {
	Name  string
	Value float64
}

// scales fits the axes to the lines and to the limit.
func (p Plot) scales() (x, y logScale, err error) {
	var xs, ys []float64
	for _, l := range p.Lines {
		if len(l.X) != len(l.Y) {
			return x, y, fmt.Errorf("line %s: %d values of x and %d of y", l.Name, len(l.X), len(l.Y))
		}
		xs, ys = append(xs, l.X...), append(ys, l.Y...)
	}
	if len(xs) == 0 {
		return x, y, errors.New("no values")
	}
	if p.Limit != nil {
		ys = append(ys, p.Limit.Value)
	}
	if least := min(slices.Min(xs), slices.Min(ys)); least <= 0 || math.IsNaN(least) {
		return x, y, fmt.Errorf("%g is not on a logarithmic axis", least)
	}
	low, high := slices.Min(xs), slices.Max(xs)
	if low == high {
		low, high = low/2, high*2
	}
	x = logScale{low: low, high: high, from: left + inset, to: right - inset}
	steps := ladder(slices.Min(ys), slices.Max(ys))
	y = logScale{low: steps[0], high: steps[len(steps)-1], from: bottom, to: top}
	return x, y, nil
}

// names are the heights of the lines' names: beside their last points, as far
// apart as text needs.
func (p Plot) names(y logScale) []float64 {
	heights := make([]float64, len(p.Lines))
	order := make([]int, len(p.Lines))
	for i, l := range p.Lines {
		if heights[i], order[i] = top, i; len(l.Y) > 0 {
			heights[i] = y.at(l.Y[len(l.Y)-1])
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(heights[a], heights[b]) })
	least := float64(top)
	for _, i := range order {
		heights[i] = max(heights[i], least)
		least = heights[i] + nameHeight
	}
	return heights
}
