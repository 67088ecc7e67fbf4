package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/AmpyFin/ampy-bus/internal/plot"
)

// draw writes a curve as SVG: what is judged, each column relative to its first
// point, beside a line that grows in proportion.
func draw(file string, c Curve) error {
	svg, err := c.plot().SVG()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("draw %s: %w", c.Name, err)
	}
	return os.WriteFile(file, svg, 0o644)
}

func (c Curve) plot() plot.Plot {
	p := plot.Plot{Title: c.Title, X: plot.Axis{Name: c.X}, Y: plot.Axis{Name: "relative to the first point"}}
	for i, col := range c.Columns {
		if !col.Judged {
			continue
		}
		l := plot.Line{Name: col.Name, Hue: len(p.Lines)}
		for _, pt := range c.Points {
			if pt.X <= 0 || pt.Y[i] <= 0 {
				continue
			}
			l.X, l.Y = append(l.X, pt.X), append(l.Y, pt.Y[i])
		}
		if len(l.Y) < 2 {
			continue
		}
		first := l.Y[0]
		for j := range l.Y {
			l.Y[j] /= first
		}
		p.Lines = append(p.Lines, l)
	}
	if n := len(c.Points); n > 1 {
		from, to := c.Points[0].X, c.Points[n-1].X
		p.Lines = append(p.Lines, plot.Line{Name: "in proportion", Style: plot.Guide, X: []float64{from, to}, Y: []float64{1, to / from}})
	}
	return p
}
