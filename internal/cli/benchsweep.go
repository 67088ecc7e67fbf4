package cli

import (
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/bench"
)

// showSweep prints a row for each side at each rate: percentiles of the messages
// of all its rounds, the rest of its last round.
func (a *app) showSweep(f *benchFlags, steps []bench.Step) {
	var rows [][]string
	for _, s := range steps {
		for _, runs := range [][]*bench.Result{s.A, s.B} {
			if len(runs) > 0 {
				rows = append(rows, sweepRow(s.Work.Load.Rate, runs))
			}
		}
	}
	printTable(a.out, []string{"RATE", "SIDE", "MSG/S", "P50", "P90", "P99", "P99.9", "MAX", "CPU/MILLION", "ALLOCS"}, rows)
	if f.compare == "" {
		return
	}
	for _, s := range steps {
		fmt.Fprintf(a.out, "%g/s: %s\n", s.Work.Load.Rate, s.Comparison)
	}
}

func sweepRow(rate float64, runs []*bench.Result) []string {
	last := runs[len(runs)-1]
	at := func(p float64) string { return bench.Percentile(runs, p).Round(time.Microsecond).String() }
	return []string{
		figureOf(rate), last.Name, fmt.Sprintf("%.1f", last.Rate()), at(50), at(90), at(99), at(99.9), at(100),
		fmt.Sprintf("%.1fs", last.CPUPerMillion().Seconds()), fmt.Sprintf("%.1f", last.Allocs()),
	}
}

// comparedDoc is a comparison, or a run alone, at one rate, as JSON.
type comparedDoc struct {
	Rate   *float64      `json:"rate,omitempty"` // in a sweep
	Runs   []bench.Doc   `json:"runs"`
	Ratios *bench.Ratios `json:"ratios,omitempty"` // in a comparison
}

// singleDoc is a run as JSON.
type singleDoc struct {
	bench.Doc
	SLO []bench.Verdict `json:"slo,omitempty"`
}

// benchDoc is one document: a run, a comparison's runs and ratios, or those of
// each rate; and the verdicts where something was judged.
func benchDoc(f *benchFlags, steps []bench.Step, verdicts []bench.Verdict) any {
	switch {
	case len(f.rates) > 0:
		doc := struct {
			Rates []comparedDoc   `json:"rates"`
			SLO   []bench.Verdict `json:"slo,omitempty"`
		}{Rates: []comparedDoc{}, SLO: verdicts}
		for _, s := range steps {
			d := compared(f, s)
			d.Rate = &s.Work.Load.Rate
			doc.Rates = append(doc.Rates, d)
		}
		return doc
	case f.compare != "":
		return struct {
			comparedDoc
			SLO []bench.Verdict `json:"slo,omitempty"`
		}{compared(f, steps[0]), verdicts}
	}
	return singleDoc{steps[0].A[0].Doc(), verdicts}
}

func compared(f *benchFlags, s bench.Step) comparedDoc {
	doc := comparedDoc{Runs: []bench.Doc{}}
	for _, r := range s.Runs() {
		doc.Runs = append(doc.Runs, r.Doc())
	}
	if f.compare != "" {
		ratios := s.Ratios()
		doc.Ratios = &ratios
	}
	return doc
}
