package bench

import (
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/plot"
)

// Chart shows latency by rate.
type Chart struct {
	Title string
	Note  string        // what was measured, in one line
	Limit time.Duration // the target of the p99; 0: none
	// Curves of at most two sides.
	Curves []Curve
}

// SVG draws c. Without curves it is empty.
func (c Chart) SVG() ([]byte, error) {
	if len(c.Curves) == 0 {
		return nil, nil
	}
	p := plot.Plot{
		Title: c.Title, Note: c.Note,
		X: plot.Axis{Name: "messages a second, as due"},
		Y: plot.Axis{Name: "latency", Label: plot.Seconds},
	}
	if c.Limit > 0 {
		p.Limit = &plot.Limit{Name: "target of the p99: " + c.Limit.String(), Value: c.Limit.Seconds()}
	}
	sides := map[string]int{}
	for _, curve := range c.Curves {
		if _, known := sides[curve.Side]; !known {
			sides[curve.Side] = len(sides)
		}
		l := plot.Line{Name: curve.name(), Hue: sides[curve.Side], Style: style(curve.Percentile)}
		for _, pt := range curve.Points {
			l.X, l.Y = append(l.X, pt.Rate), append(l.Y, pt.Latency.Seconds())
			p.X.At = append(p.X.At, pt.Rate)
		}
		p.Lines = append(p.Lines, l)
	}
	return p.SVG()
}

// style tells the percentiles of one side apart.
func style(p float64) plot.Style {
	switch {
	case p >= 99.9:
		return plot.Dotted
	case p >= 99:
		return plot.Solid
	}
	return plot.Dashed
}

func (c Curve) name() string { return fmt.Sprintf("%s p%g", c.Side, c.Percentile) }
