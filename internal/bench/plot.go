package bench

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Chart shows latency by rate, both axes logarithmic.
type Chart struct {
	Title string
	Note  string // what was measured, in one line
	Limit time.Duration
	// Curves of at most two sides.
	Curves []Curve
}

// The drawing in pixels: the frame holds the curves, their names stand to its
// right, so nobody has to look up a legend.
const (
	chartWidth, chartHeight = 860, 500
	frameLeft, frameRight   = 76, 720
	frameTop, frameBottom   = 66, 440
	nameHeight              = 15 // between two names
	rateWidth               = 46 // between two rates
)

// look is how the curves of a side are drawn, by percentile.
type look struct{ colour string }

func looks() []look { return []look{{"#0b5fa5"}, {"#c2410c"}} }

// dash tells the percentiles of one side apart without colour.
func dash(p float64) string {
	switch {
	case p >= 99.9:
		return "2 4"
	case p >= 99:
		return "none"
	}
	return "8 4"
}

// SVG draws c in fonts that every viewer has. Without curves it is empty.
func (c Chart) SVG() []byte {
	if len(c.Curves) == 0 {
		return nil
	}
	d := &drawing{}
	d.scale(c)
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif" font-size="12">`+"\n",
		chartWidth, chartHeight, chartWidth, chartHeight)
	d.printf("<title>%s</title>\n<desc>%s</desc>\n", escaped(c.Title), escaped(c.Note))
	d.printf(`<rect width="100%%" height="100%%" fill="#fff"/>` + "\n")
	d.text(frameLeft, 28, `font-size="17" font-weight="600" fill="#111"`, c.Title)
	d.text(frameLeft, 48, `fill="#555"`, c.Note)
	d.axes(c)
	d.limit(c.Limit)
	d.curves(c.Curves)
	d.printf("</svg>\n")
	return d.Bytes()
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

// scale fits the axes to the points and to the limit.
func (d *drawing) scale(c Chart) {
	var rates, latencies []float64
	for _, curve := range c.Curves {
		for _, p := range curve.Points {
			rates, latencies = append(rates, p.Rate), append(latencies, p.Latency.Seconds())
		}
	}
	if c.Limit > 0 {
		latencies = append(latencies, c.Limit.Seconds())
	}
	low, high := slices.Min(rates), slices.Max(rates)
	if low == high {
		low, high = low/2, high*2
	}
	d.x = logScale{low: low, high: high, from: frameLeft + 14, to: frameRight - 14}
	steps := ladder(slices.Min(latencies), slices.Max(latencies))
	d.y = logScale{low: steps[0], high: steps[len(steps)-1], from: frameBottom, to: frameTop}
}

func (d *drawing) axes(c Chart) {
	for _, v := range ladder(d.y.low, d.y.high) {
		y := d.y.at(v)
		d.printf(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e5e5e5"/>`+"\n", frameLeft, frameRight, y, y)
		d.text(frameLeft-8, y+4, `text-anchor="end" fill="#333"`, seconds125(v))
	}
	last := math.Inf(-1)
	for _, rate := range ratesOf(c.Curves) {
		x := d.x.at(rate)
		d.printf(`<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#f0f0f0"/>`+"\n", x, x, frameTop, frameBottom)
		if x-last >= rateWidth {
			d.text(x, frameBottom+18, `text-anchor="middle" fill="#333"`, strconv.FormatFloat(rate, 'f', -1, 64))
			last = x
		}
	}
	d.printf(`<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#999"/>`+"\n",
		frameLeft, frameTop, frameRight-frameLeft, frameBottom-frameTop)
	d.text((frameLeft+frameRight)/2, frameBottom+42, `text-anchor="middle" fill="#333"`, "messages a second, as due (logarithmic)")
	d.printf(`<text transform="translate(18 %d) rotate(-90)" text-anchor="middle" fill="#333">latency (logarithmic)</text>`+"\n", (frameTop+frameBottom)/2)
}

// limit draws the target of the p99.
func (d *drawing) limit(at time.Duration) {
	if at == 0 {
		return
	}
	y := d.y.at(at.Seconds())
	d.printf(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#15803d" stroke-width="1.5"/>`+"\n", frameLeft, frameRight, y, y)
	d.text(frameLeft+8, y-5, `fill="#15803d" stroke="#fff" stroke-width="3" paint-order="stroke"`, "target of the p99: "+at.String())
}

// curves draws lines and points; a point says its values where a mouse rests.
func (d *drawing) curves(curves []Curve) {
	sides := sidesOf(curves)
	names := d.names(curves)
	for i, c := range curves {
		colour := looks()[slices.Index(sides, c.Side)%len(looks())].colour
		d.printf(`<polyline fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s" points="`, colour, dash(c.Percentile))
		for _, p := range c.Points {
			d.printf("%.1f,%.1f ", d.x.at(p.Rate), d.y.at(p.Latency.Seconds()))
		}
		d.printf(`"/>` + "\n")
		for _, p := range c.Points {
			d.printf(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s at %g/s: %s</title></circle>`+"\n",
				d.x.at(p.Rate), d.y.at(p.Latency.Seconds()), colour, escaped(c.name()), p.Rate, p.Latency.Round(time.Microsecond))
		}
		d.text(frameRight+8, names[i]+4, `fill="`+colour+`"`, c.name())
	}
}

// names are the heights of the curves' names: beside their last points, as far
// apart as text needs.
func (d *drawing) names(curves []Curve) []float64 {
	heights := make([]float64, len(curves))
	order := make([]int, len(curves))
	for i, c := range curves {
		heights[i], order[i] = d.y.at(c.Points[len(c.Points)-1].Latency.Seconds()), i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(heights[a], heights[b]) })
	for n, i := range order {
		least := float64(frameTop)
		if n > 0 {
			least = heights[order[n-1]] + nameHeight
		}
		heights[i] = max(heights[i], least)
	}
	return heights
}

func (c Curve) name() string { return fmt.Sprintf("%s p%g", c.Side, c.Percentile) }

func sidesOf(curves []Curve) []string {
	var sides []string
	for _, c := range curves {
		if !slices.Contains(sides, c.Side) {
			sides = append(sides, c.Side)
		}
	}
	return sides
}

func ratesOf(curves []Curve) []float64 {
	var rates []float64
	for _, c := range curves {
		for _, p := range c.Points {
			rates = append(rates, p.Rate)
		}
	}
	slices.Sort(rates)
	return slices.Compact(rates)
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
