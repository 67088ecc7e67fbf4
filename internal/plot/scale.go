package plot

import (
	"math"
	"strconv"
)

// logScale maps low to from and high to to.
type logScale struct{ low, high, from, to float64 }

func (s logScale) at(v float64) float64 {
	return s.from + (s.to-s.from)*math.Log(v/s.low)/math.Log(s.high/s.low)
}

// ladder is 1, 2, 5, 10, 20, 50 … times a power of ten, around low and high: at
// least two steps. It thins out to powers of ten where there would be many.
func ladder(low, high float64) []float64 {
	const many = 12
	for _, rungs := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		if steps := climb(rungs, low, high); len(steps) <= many || len(rungs) == 1 {
			return steps
		}
	}
	return nil
}

func climb(rungs []float64, low, high float64) []float64 {
	const slack = 1e-9 // of rounding
	var steps []float64
	for power := math.Floor(math.Log10(low)) - 1; ; power++ {
		for _, rung := range rungs {
			v := rung * math.Pow(10, power)
			if len(steps) > 0 && v <= low*(1+slack) {
				steps = steps[:0]
			}
			steps = append(steps, v)
			if v >= high*(1-slack) && len(steps) > 1 {
				return steps
			}
		}
	}
}

// number writes a value in at most four digits.
func number(v float64) string {
	if v >= 1e4 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// Seconds writes a number of seconds: 200 µs, 5 ms, 10 s.
func Seconds(v float64) string {
	unit, name := 1.0, " s"
	switch {
	case v < 0.9995e-3:
		unit, name = 1e-6, " µs"
	case v < 0.9995:
		unit, name = 1e-3, " ms"
	}
	return strconv.FormatFloat(v/unit, 'g', 3, 64) + name
}
