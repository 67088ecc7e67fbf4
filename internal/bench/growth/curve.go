package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// Curve is what was measured at some values of one number.
type Curve struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	X       string   `json:"x"`
	Columns []Column `json:"columns"`
	Points  []Point  `json:"points"`
}

// Column is one quantity. Its name holds the unit.
type Column struct {
	Name string `json:"name"`
	// Power of X that the quantity may grow with: 0 for what one message costs, 1
	// for a total. A rate has Judged unset: it is noise where cores are shared.
	Power  float64 `json:"power"`
	Judged bool    `json:"judged"`
}

// Point is what was measured at X: a value for each column, 0 where there is none.
type Point struct {
	X float64   `json:"x"`
	Y []float64 `json:"y"`
}

func each(name string) Column  { return Column{Name: name, Judged: true} }
func total(name string) Column { return Column{Name: name, Power: 1, Judged: true} }
func noted(name string) Column { return Column{Name: name} }

// tolerance of an exponent: 0.2 is a factor of 1.6 over ten times as much.
const tolerance = 0.2

// exponent is the power of X with which a column grows over its last decade: the
// slope of the least squares line in logarithms. ok is false where fewer than
// two points tell.
func (c Curve) exponent(column int) (power float64, ok bool) {
	var xs, ys []float64
	last := 0.0
	for _, p := range c.Points {
		last = max(last, p.X)
	}
	for _, p := range c.Points {
		if p.X > 0 && p.Y[column] > 0 && p.X >= last/10 {
			xs, ys = append(xs, math.Log(p.X)), append(ys, math.Log(p.Y[column]))
		}
	}
	return slope(xs, ys)
}

func slope(xs, ys []float64) (float64, bool) {
	n := float64(len(xs))
	var sx, sy, sxx, sxy float64
	for i := range xs {
		sx, sy = sx+xs[i], sy+ys[i]
		sxx, sxy = sxx+xs[i]*xs[i], sxy+xs[i]*ys[i]
	}
	d := n*sxx - sx*sx
	if len(xs) < 2 || d < 1e-9 {
		return 0, false
	}
	return (n*sxy - sx*sy) / d, true
}

// superlinear lists the columns that grow faster than they may.
func (c Curve) superlinear() []string {
	var names []string
	for i, col := range c.Columns {
		if power, ok := c.exponent(i); ok && col.Judged && power > col.Power+tolerance {
			names = append(names, col.Name)
		}
	}
	return names
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", " ")
	return e.Encode(v)
}

func load(file string) ([]Curve, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read curves: %w", err)
	}
	var curves []Curve
	if err := json.Unmarshal(b, &curves); err != nil {
		return nil, fmt.Errorf("read curves of %s: %w", file, err)
	}
	return curves, nil
}

func save(file string, curves []Curve) error {
	b, err := json.Marshal(curves)
	if err != nil {
		return fmt.Errorf("save curves: %w", err)
	}
	return os.WriteFile(file, b, 0o600)
}

// replace puts c where a curve of its name was, or at the end.
func replace(curves []Curve, c Curve) []Curve {
	if i := slices.IndexFunc(curves, func(k Curve) bool { return k.Name == c.Name }); i >= 0 {
		curves[i] = c
		return curves
	}
	return append(curves, c)
}
