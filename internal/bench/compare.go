package bench

import (
	"context"
	"fmt"
	"slices"
)

// Turn is one side of a comparison: what it runs, and its name in reports.
type Turn struct {
	Name string
	Run  func(ctx context.Context) (*Result, error)
}

// Comparison holds runs of two sides that took turns, A B A B, so that a
// machine that grows slower is unfair to neither.
type Comparison struct {
	A, B []*Result
}

// Compare runs a and b in turn, rounds times each. It ends early with ctx.
func Compare(ctx context.Context, a, b Turn, rounds int) (Comparison, error) {
	var c Comparison
	for range rounds {
		for _, turn := range []struct {
			Turn
			runs *[]*Result
		}{{a, &c.A}, {b, &c.B}} {
			r, err := turn.Run(ctx)
			if err != nil {
				return c, err
			}
			*turn.runs = append(*turn.runs, r)
			if ctx.Err() != nil {
				return c, ctx.Err()
			}
		}
	}
	return c, nil
}

// Ratio of A to B over the rounds of a comparison.
type Ratio struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// String is the median, and the spread where there are several rounds.
func (r Ratio) String() string {
	if r.Least == r.Most {
		return fmt.Sprintf("%.2f", r.Median)
	}
	return fmt.Sprintf("%.2f(%.2f..%.2f)", r.Median, r.Least, r.Most)
}

// Ratios of A to B. A rate above 1, and the rest below 1, speak for A. The
// latencies are zero where none was measured.
type Ratios struct {
	Rate   Ratio `json:"rate"`
	CPU    Ratio `json:"cpu"`
	Allocs Ratio `json:"allocs"`
	P50    Ratio `json:"p50"`
	P99    Ratio `json:"p99"`
}

// Ratios compares each round's two runs.
func (c Comparison) Ratios() Ratios {
	return Ratios{
		Rate:   c.ratio((*Result).Rate),
		CPU:    c.ratio(func(r *Result) float64 { return r.CPUPerMillion().Seconds() }),
		Allocs: c.ratio((*Result).Allocs),
		P50:    c.ratio(func(r *Result) float64 { return r.Latency(50).Seconds() }),
		P99:    c.ratio(func(r *Result) float64 { return r.Latency(99).Seconds() }),
	}
}

func (c Comparison) ratio(of func(*Result) float64) Ratio {
	var rs []float64
	for i := range min(len(c.A), len(c.B)) {
		rs = append(rs, over(of(c.A[i]), of(c.B[i])))
	}
	if len(rs) == 0 {
		return Ratio{}
	}
	slices.Sort(rs)
	n := len(rs)
	return Ratio{Median: (rs[(n-1)/2] + rs[n/2]) / 2, Least: rs[0], Most: rs[n-1]}
}

// String is one line for people.
func (c Comparison) String() string {
	if len(c.A) == 0 || len(c.B) == 0 {
		return "nothing to compare"
	}
	r := c.Ratios()
	s := fmt.Sprintf("ratio %s/%s: rate=%s cpu=%s allocs=%s", c.A[0].Name, c.B[0].Name, r.Rate, r.CPU, r.Allocs)
	if r.P99.Most == 0 {
		return s
	}
	return s + fmt.Sprintf(" p50=%s p99=%s", r.P50, r.P99)
}

func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
