package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// sweep measures one curve.
type sweep struct {
	curve Curve
	xs    []int
	point func(ctx context.Context, r *rig, x int) ([]float64, error)
	// rounds of each point; the least of what it cost counts. Zero: 1.
	rounds int
	// keep has all points on one server, each finding what those before stored.
	keep  bool
	nodes int  // of a cluster
	sync  bool // the server syncs each write
	kafka bool
}

// sweeps lists all, those of NATS first.
func sweeps() []sweep {
	return []sweep{
		natsKeys(), natsSymbols(), natsPieces(), natsLag(), natsGroups(), natsShares(), natsStreams(), natsIDs(), natsSizes(),
		settledLetters(), parkedKeys(), parkedMessages(), natsSync(), natsReplicas(), dedupeWindow(),
		kafkaKeys(), kafkaLag(), kafkaGroups(), kafkaPartitions(), kafkaSizes(),
	}
}

func sweepNames() (names []string) {
	for _, s := range sweeps() {
		names = append(names, s.curve.Name)
	}
	return names
}

// choose finds sweeps by name; without names it takes those that need no Kafka.
func choose(names string) (chosen []sweep, err error) {
	all := sweeps()
	if names == "" {
		return slices.DeleteFunc(all, func(s sweep) bool { return s.kafka }), nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(s sweep) bool { return s.curve.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("-sweep: no %q; have %s", name, strings.Join(sweepNames(), ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// measure runs the points of a sweep. The curve holds those that went well.
func (o options) measure(ctx context.Context, s sweep, messages io.Writer) (Curve, error) {
	curve := s.curve
	var kept *rig
	defer func() {
		if kept != nil {
			kept.close()
		}
	}()
	for _, x := range s.xs {
		if o.most > 0 && x > o.most {
			continue
		}
		began := time.Now()
		var rounds [][]float64
		for range max(s.rounds, 1) {
			r := kept
			if r == nil {
				var err error
				if r, err = o.newRig(ctx, s); err != nil {
					return curve, err
				}
			}
			y, err := s.point(ctx, r, x)
			if s.keep {
				kept = r
			} else {
				r.close()
			}
			if err == nil && len(y) != len(curve.Columns) {
				err = fmt.Errorf("%d values for %d columns", len(y), len(curve.Columns))
			}
			if err != nil {
				return curve, fmt.Errorf("%s %d: %w", curve.X, x, err)
			}
			rounds = append(rounds, y)
		}
		curve.Points = append(curve.Points, Point{X: float64(x), Y: best(curve.Columns, rounds)})
		fmt.Fprintf(messages, "%s: %s %d in %s\n", curve.Name, curve.X, x, time.Since(began).Round(time.Millisecond))
	}
	return curve, nil
}

// best takes from several rounds the least of each cost, and the highest rate:
// what others did on the machine only adds.
func best(columns []Column, rounds [][]float64) []float64 {
	y := slices.Clone(rounds[0])
	for _, round := range rounds[1:] {
		for i, v := range round {
			if columns[i].Judged {
				y[i] = min(y[i], v)
			} else {
				y[i] = max(y[i], v)
			}
		}
	}
	return y
}
