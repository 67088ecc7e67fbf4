package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Step is the work at one rate, by one side or by two.
type Step struct {
	Work Work
	Comparison
}

// Runs are all runs in the order of their turns.
func (c Comparison) Runs() []*Result {
	var runs []*Result
	for i := range c.A {
		runs = append(runs, c.A[i])
		if i < len(c.B) {
			runs = append(runs, c.B[i])
		}
	}
	return runs
}

// Percentile is that of the messages of all runs together.
func Percentile(runs []*Result, p float64) time.Duration {
	h := newHistogram()
	for _, r := range runs {
		r.addTo(h)
	}
	return time.Duration(h.ValueAtPercentile(p))
}

func (r *Result) addTo(h *hdrhistogram.Histogram) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.Merge(r.latency)
}

// Curve is one percentile of one side over the rates.
type Curve struct {
	Side       string
	Percentile float64
	Points     []Point
}

// Point is one rate of a curve.
type Point struct {
	Rate    float64
	Latency time.Duration
}

// Curves are the percentiles of each side of a sweep. A step without messages
// is no point.
func Curves(steps []Step, percentiles ...float64) []Curve {
	var curves []Curve
	for _, runs := range []func(Step) []*Result{
		func(s Step) []*Result { return s.A },
		func(s Step) []*Result { return s.B },
	} {
		for _, p := range percentiles {
			if c := curve(steps, runs, p); len(c.Points) > 0 {
				curves = append(curves, c)
			}
		}
	}
	return curves
}

func curve(steps []Step, of func(Step) []*Result, p float64) Curve {
	c := Curve{Percentile: p}
	for _, s := range steps {
		runs := of(s)
		latency := Percentile(runs, p)
		if latency == 0 {
			continue
		}
		c.Side = runs[0].Name
		c.Points = append(c.Points, Point{Rate: s.Work.Load.Rate, Latency: latency})
	}
	return c
}
