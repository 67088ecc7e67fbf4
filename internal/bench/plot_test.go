package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

func sweepOf(sides ...string) []Step {
	var steps []Step
	for _, rate := range []float64{500, 1000, 10_000} {
		s := Step{Work: Work{Load: Load{Rate: rate}}}
		for i, side := range sides {
			r := newResult(side, load(100))
			for n := range 100 {
				record(r.latency, time.Duration(n+1)*time.Duration(i+1)*time.Millisecond)
			}
			if i == 0 {
				s.A = []*Result{r}
			} else {
				s.B = []*Result{r}
			}
		}
		steps = append(steps, s)
	}
	return steps
}

func TestACurveHoldsOnePercentileOfOneSide(t *testing.T) {
	curves := Curves(sweepOf("bus", "raw"), 50, 99)
	var names []string
	for _, c := range curves {
		names = append(names, c.name())
		if len(c.Points) != 3 || c.Points[2].Rate != 10_000 {
			t.Errorf("%s has points %v", c.name(), c.Points)
		}
	}
	if got := strings.Join(names, ", "); got != "bus p50, bus p99, raw p50, raw p99" {
		t.Errorf("curves %s", got)
	}
	if got := curves[3].Points[0].Latency; got < 197*time.Millisecond || got > 199*time.Millisecond {
		t.Errorf("the raw p99 is %s, want 198ms", got)
	}
	if got := Curves([]Step{{}}, 50); got != nil {
		t.Errorf("curves of nothing: %v", got)
	}
}

func TestAPlotIsWellFormedAndNamesItsCurves(t *testing.T) {
	svg := Chart{
		Title: "a < b & c", Note: "1024 bytes", Limit: 150 * time.Millisecond,
		Curves: Curves(sweepOf("bus", "raw"), 50, 99, 99.9),
	}.SVG()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
	}
	for _, want := range []string{"a &lt; b &amp; c", ">bus p50<", ">bus p99.9<", ">raw p99<", "target of the p99: 150ms", ">10000<", ">50 ms<"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("no %q in\n%s", want, svg)
		}
	}
	for _, not := range []string{"NaN", "Inf"} {
		if strings.Contains(string(svg), not) {
			t.Errorf("%s in\n%s", not, svg)
		}
	}
	if svg := (Chart{}).SVG(); svg != nil {
		t.Errorf("a plot of nothing: %s", svg)
	}
}

func TestOneRateIsAPlotToo(t *testing.T) {
	svg := Chart{Curves: Curves(sweepOf("bus")[:1], 50)}.SVG()
	if s := string(svg); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
		t.Error(s)
	}
}

func TestNamesOfCurvesDoNotOverlap(t *testing.T) {
	d := &drawing{}
	c := Chart{Curves: Curves(sweepOf("bus", "raw"), 98, 99, 99.9)}
	d.scale(c)
	names := d.names(c.Curves)
	for i := range names {
		for j := range i {
			if math.Abs(names[i]-names[j]) < nameHeight {
				t.Errorf("%s and %s are at %.1f and %.1f", c.Curves[i].name(), c.Curves[j].name(), names[i], names[j])
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
