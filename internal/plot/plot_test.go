package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

func TestAPlotIsWellFormedWhateverItsNames(t *testing.T) {
	svg, err := Plot{
		Title: `a < b & "c"`, Note: "<script>", X: Axis{Name: "<x>"}, Y: Axis{Name: "y"}, Limit: &Limit{Name: "&", Value: 3},
		Lines: []Line{{Name: "<script>", X: []float64{1, 10}, Y: []float64{2, 2000}}, {Name: "d", X: []float64{5}, Y: []float64{5}, Style: Guide}},
	}.SVG()
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Error("a name became an element")
		}
	}
}

func TestDecadesAreEquallyFarApart(t *testing.T) {
	svg, err := Plot{Lines: []Line{{X: []float64{1, 10, 100}, Y: []float64{1, 10, 100}}}}.SVG()
	if err != nil {
		t.Fatal(err)
	}
	if want := `points="90.0,440.0 373.0,253.0 656.0,66.0 "`; !strings.Contains(string(svg), want) {
		t.Errorf("no %s in\n%s", want, svg)
	}
}

func TestOneValueIsAPlotToo(t *testing.T) {
	svg, err := Plot{Lines: []Line{{X: []float64{3}, Y: []float64{4}}}}.SVG()
	if s := string(svg); err != nil || strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
		t.Error(err, s)
	}
}

func TestNamesOfLinesDoNotOverlap(t *testing.T) {
	var p Plot
	for _, v := range []float64{5, 100, 101, 99, 5, 1} {
		p.Lines = append(p.Lines, Line{X: []float64{1}, Y: []float64{v}})
	}
	_, y, err := p.scales()
	if err != nil {
		t.Fatal(err)
	}
	names := p.names(y)
	for i := range names {
		for j := range i {
			if math.Abs(names[i]-names[j]) < nameHeight {
				t.Errorf("names %d and %d are at %.1f and %.1f", i, j, names[i], names[j])
			}
		}
	}
}

func TestStepsOfAnAxisEncloseItsValues(t *testing.T) {
	for want, c := range map[string][2]float64{
		"[1 2 5 10]":          {1.2, 7},
		"[0.1 0.2]":           {0.1, 0.1},
		"[0.1 0.2 0.5 1 2 5]": {0.1, 5},
		"[0.001 0.003 0.01 0.03 0.1 0.3 1 3 10 30]": {0.001, 20},
	} {
		var steps []float64
		for _, v := range ladder(c[0], c[1]) {
			steps = append(steps, math.Round(v*1e6)/1e6)
		}
		if got := fmt.Sprint(steps); got != want {
			t.Errorf("from %g to %g: %s, want %s", c[0], c[1], got, want)
		}
	}
}

func TestWhatHasNoLogarithmIsRefused(t *testing.T) {
	for _, p := range []Plot{
		{},
		{Lines: []Line{{X: []float64{0}, Y: []float64{1}}}},
		{Lines: []Line{{X: []float64{1}, Y: []float64{-1}}}},
		{Lines: []Line{{X: []float64{1, 2}, Y: []float64{1}}}},
	} {
		if _, err := p.SVG(); err == nil {
			t.Errorf("%+v was drawn", p)
		}
	}
}
