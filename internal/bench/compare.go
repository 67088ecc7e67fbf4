package bench

import (
	"context"
	"fmt"
)

// Named is a publisher with its name in reports.
type Named struct {
	Name string
	Publisher
}

// Comparison holds runs of two publishers that took turns, A B A B, so that a
// machine that grows slower is unfair to neither.
type Comparison struct {
	A, B []*Result
}

// Compare runs the load with a and b in turn, rounds times each. It ends early
// with ctx.
func Compare(ctx context.Context, a, b Named, l Load, rounds int) (Comparison, error) {
	var c Comparison
	for range rounds {
		for _, turn := range []struct {
			p    Named
			runs *[]*Result
		}{{a, &c.A}, {b, &c.B}} {
			r, err := Run(ctx, turn.p.Name, turn.p, l)
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

// Ratios of A to B: of the total rates, and of the mean percentiles. A rate
// above 1 and a latency below 1 speak for A.
type Ratios struct {
	Rate float64 `json:"rate"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
}

// Ratios compares all runs.
func (c Comparison) Ratios() Ratios {
	return Ratios{
		Rate: over(totalRate(c.A), totalRate(c.B)),
		P50:  over(meanLatency(c.A, 50), meanLatency(c.B, 50)),
		P99:  over(meanLatency(c.A, 99), meanLatency(c.B, 99)),
	}
}

// String is one line for people.
func (c Comparison) String() string {
	if len(c.A) == 0 || len(c.B) == 0 {
		return "nothing to compare"
	}
	r := c.Ratios()
	return fmt.Sprintf("ratio %s/%s: rate=%.2f p50=%.2f p99=%.2f", c.A[0].Name, c.B[0].Name, r.Rate, r.P50, r.P99)
}

func totalRate(rs []*Result) float64 {
	var n, s float64
	for _, r := range rs {
		n += float64(r.Published)
		s += r.Took.Seconds()
	}
	return over(n, s)
}

func meanLatency(rs []*Result, percentile float64) float64 {
	var sum float64
	for _, r := range rs {
		sum += r.Latency(percentile).Seconds()
	}
	return over(sum, float64(len(rs)))
}

func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
