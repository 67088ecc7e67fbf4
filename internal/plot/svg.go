package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
)

// The picture in pixels: the frame holds the lines, their names stand to its
// right.
const (
	width, height = 860, 500
	left, right   = 76, 670
	top, bottom   = 66, 440
	inset         = 14
	nameHeight    = 15 // between two names
	labelWidth    = 46 // between two labels of x
)

// SVG draws p in fonts that every viewer has.
func (p Plot) SVG() ([]byte, error) {
	x, y, err := p.scales()
	if err != nil {
		return nil, fmt.Errorf("plot %s: %w", p.Title, err)
	}
	d := &drawing{x: x, y: y}
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif" font-size="12">`+"\n",
		width, height, width, height)
	d.printf("<title>%s</title>\n<desc>%s</desc>\n", escaped(p.Title), escaped(p.Note))
	d.printf(`<rect width="100%%" height="100%%" fill="#fff"/>` + "\n")
	d.text(left, 28, `font-size="17" font-weight="600" fill="#111"`, p.Title)
	d.text(left, 48, `fill="#555"`, p.Note)
	d.frame(p.X, p.Y)
	for i, at := range p.names(y) {
		d.line(p.Lines[i], at, p.X, p.Y)
	}
	d.limit(p.Limit) // last: lines may cross its name
	d.printf("</svg>\n")
	return d.Bytes(), nil
}

// drawing is an SVG in the making.
type drawing struct {
	bytes.Buffer
	x, y logScale
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.Buffer, format, args...) }

func (d *drawing) text(x, y float64, attributes, s string) {
	d.printf(`<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, attributes, escaped(s))
}

func (d *drawing) frame(x, y Axis) {
	for _, v := range y.values(d.y) {
		at := d.y.at(v)
		d.printf(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e5e5e5"/>`+"\n", left, right, at, at)
		d.text(left-8, at+4, `text-anchor="end" fill="#333"`, y.label(v))
	}
	last := math.Inf(-1)
	for _, v := range x.values(d.x) {
		at := d.x.at(v)
		d.printf(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#f0f0f0"/>`+"\n", at, at, top, bottom)
		if at-last >= labelWidth {
			d.text(at, bottom+18, `text-anchor="middle" fill="#333"`, x.label(v))
			last = at
		}
	}
	d.printf(`<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#999"/>`+"\n", left, top, right-left, bottom-top)
	d.text((left+right)/2, bottom+42, `text-anchor="middle" fill="#333"`, x.Name+" (logarithmic)")
	d.printf(`<text transform="translate(18 %d) rotate(-90)" text-anchor="middle" fill="#333">%s</text>`+"\n",
		(top+bottom)/2, escaped(y.Name+" (logarithmic)"))
}

func (d *drawing) limit(l *Limit) {
	if l == nil {
		return
	}
	y := d.y.at(l.Value)
	d.printf(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#15803d" stroke-width="1.5"/>`+"\n", left, right, y, y)
	d.text(left+8, y-5, `fill="#15803d" stroke="#fff" stroke-width="3" paint-order="stroke"`, l.Name)
}

// line draws a line and its points; a point says its values where a mouse rests.
func (d *drawing) line(l Line, nameAt float64, x, y Axis) {
	if len(l.X) == 0 {
		return
	}
	colour, dash := l.look()
	d.printf(`<polyline fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s" points="`, colour, dash)
	for i := range l.X {
		d.printf("%.1f,%.1f ", d.x.at(l.X[i]), d.y.at(l.Y[i]))
	}
	d.printf(`"/>` + "\n")
	if l.Style != Guide {
		for i := range l.X {
			d.printf(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s</title></circle>`+"\n", d.x.at(l.X[i]), d.y.at(l.Y[i]), colour,
				escaped(fmt.Sprintf("%s at %s: %s", l.Name, x.label(l.X[i]), y.label(l.Y[i]))))
		}
	}
	d.text(right+8, nameAt+4, `fill="`+colour+`"`, l.Name)
}

func (l Line) look() (colour, dash string) {
	if l.Style == Guide {
		return "#888", "4 4"
	}
	// These tell neighbours apart, also for most of those who see few colours.
	hues := [...]string{"#0b5fa5", "#c2410c", "#00795c", "#a8437f", "#8a6100", "#3b3b3b", "#6b3fa0"}
	return hues[l.Hue%len(hues)], [...]string{Solid: "none", Dashed: "8 4", Dotted: "2 4"}[l.Style]
}

// values are those to label, in order.
func (a Axis) values(s logScale) []float64 {
	if len(a.At) > 0 {
		at := slices.Sorted(slices.Values(a.At))
		return slices.Compact(at)
	}
	const slack = 1e-9 // of rounding
	return slices.DeleteFunc(ladder(s.low, s.high), func(v float64) bool {
		return v < s.low*(1-slack) || v > s.high*(1+slack)
	})
}

func (a Axis) label(v float64) string {
	if a.Label != nil {
		return a.Label(v)
	}
	return number(v)
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
