package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAPlotIsWellFormedWhateverItsNames(t *testing.T) {
	svg, err := Plot{
		Title: `a < b & "c"`, X: "<x>", Y: "y",
		Lines: []Line{{Name: "<script>", X: []float64{1, 10}, Y: []float64{2, 2000}}, {Name: "d", X: []float64{5}, Y: []float64{5}, Dashed: true}},
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
	if want := `points="70.0,370.0 270.0,205.0 470.0,40.0 "`; !strings.Contains(string(svg), want) {
		t.Errorf("no %s in\n%s", want, svg)
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
