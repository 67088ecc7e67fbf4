// Package plot draws lines on two logarithmic axes, as SVG: enough to see how
// fast something grows.
package plot

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"math"
	"strconv"
)

// Plot is one picture. All values must be positive.
type Plot struct {
	Title, X, Y string
	Lines       []Line
}

// Line is one curve with its name.
type Line struct {
	Name   string
	X, Y   []float64
	Dashed bool // something to compare with, in grey
}

// Measures of the picture, in pixels.
const (
	width, height = 720, 420
	left, right   = 70, 250 // the names stand on the right
	top, bottom   = 40, 50
	nameStep      = 18
)

// SVG draws the plot.
func (p Plot) SVG() ([]byte, error) {
	x, y, err := p.axes()
	if err != nil {
		return nil, fmt.Errorf("plot %s: %w", p.Title, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	text(&b, left, top-16, "start", p.Title)
	p.frame(&b, x, y)
	for i, l := range p.Lines {
		l.draw(&b, x, y, colour(i, l.Dashed))
		at := top + nameStep*i + nameStep/2
		fmt.Fprintf(&b, `<path d="M%d %dh20" stroke="%s" stroke-width="2"%s/>`+"\n", width-right+14, at-4, colour(i, l.Dashed), dashes(l.Dashed))
		text(&b, width-right+40, float64(at), "start", l.Name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}

// axis maps decades to pixels.
type axis struct{ low, high, from, to float64 }

func (a axis) at(v float64) float64 {
	return a.from + (math.Log10(v)-a.low)/(a.high-a.low)*(a.to-a.from)
}

func (p Plot) axes() (x, y axis, err error) {
	x, y = axis{low: math.Inf(1), high: math.Inf(-1)}, axis{low: math.Inf(1), high: math.Inf(-1)}
	for _, l := range p.Lines {
		if len(l.X) != len(l.Y) {
			return x, y, fmt.Errorf("line %s: %d values of x and %d of y", l.Name, len(l.X), len(l.Y))
		}
		for i := range l.X {
			if l.X[i] <= 0 || l.Y[i] <= 0 {
				return x, y, fmt.Errorf("line %s: %g, %g is not on logarithmic axes", l.Name, l.X[i], l.Y[i])
			}
			x, y = x.with(l.X[i]), y.with(l.Y[i])
		}
	}
	if math.IsInf(x.low, 0) {
		return x, y, errors.New("no values")
	}
	x.from, x.to = left, width-right
	y.from, y.to = height-bottom, top
	return x.whole(), y.whole(), nil
}

func (a axis) with(v float64) axis {
	a.low, a.high = min(a.low, math.Log10(v)), max(a.high, math.Log10(v))
	return a
}

// whole widens an axis to whole decades.
func (a axis) whole() axis {
	a.low, a.high = math.Floor(a.low), math.Ceil(a.high)
	if a.low == a.high {
		a.high++
	}
	return a
}

func (p Plot) frame(b *bytes.Buffer, x, y axis) {
	for d := x.low; d <= x.high; d++ {
		at := x.at(math.Pow(10, d))
		fmt.Fprintf(b, `<path d="M%.1f %dV%d" stroke="#ddd"/>`+"\n", at, top, height-bottom)
		text(b, at, height-bottom+18, "middle", decade(d))
	}
	for d := y.low; d <= y.high; d++ {
		at := y.at(math.Pow(10, d))
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+"\n", left, at, width-right)
		text(b, left-8, at+4, "end", decade(d))
	}
	text(b, (left+width-right)/2, height-12, "middle", p.X)
	fmt.Fprintf(b, `<text transform="translate(16 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", (top+height-bottom)/2, html.EscapeString(p.Y))
}

func (l Line) draw(b *bytes.Buffer, x, y axis, stroke string) {
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2"%s points="`, stroke, dashes(l.Dashed))
	for i := range l.X {
		fmt.Fprintf(b, "%.1f,%.1f ", x.at(l.X[i]), y.at(l.Y[i]))
	}
	b.WriteString(`"/>` + "\n")
}

func text(b *bytes.Buffer, x, y float64, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
}

func dashes(on bool) string {
	if on {
		return ` stroke-dasharray="4 4"`
	}
	return ""
}

// colour tells neighbours apart, also for most of those who see few colours.
func colour(i int, grey bool) string {
	if grey {
		return "#999"
	}
	colours := [...]string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7b4fb5", "#8c564b"}
	return colours[i%len(colours)]
}

// decade is a power of ten for people.
func decade(d float64) string {
	return strconv.FormatFloat(math.Pow(10, d), 'g', -1, 64)
}
