package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
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
	svg, err := Chart{
		Title: "a < b & c", Note: "1024 bytes", Limit: 150 * time.Millisecond,
		Curves: Curves(sweepOf("bus", "raw"), 50, 99, 99.9),
	}.SVG()
	if err != nil {
		t.Fatal(err)
	}
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
	if svg, err := (Chart{}).SVG(); svg != nil || err != nil {
		t.Errorf("a plot of nothing: %s", svg)
	}
}

func TestOneRateIsAPlotToo(t *testing.T) {
	svg, err := Chart{Curves: Curves(sweepOf("bus")[:1], 50)}.SVG()
	if s := string(svg); err != nil || strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
		t.Error(s)
	}
}
