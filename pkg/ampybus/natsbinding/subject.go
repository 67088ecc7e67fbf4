package natsbinding

import (
	"fmt"
	"strings"

	"github.com/AmpyFin/ampy-bus/internal/wildcard"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// checkPattern refuses what no subject can match. What a topic may look like
// is the bus's affair.
func checkPattern(p string) error {
	if err := wildcard.Check(p); err != nil {
		return fmt.Errorf("%w: %w", driver.ErrConfig, err)
	}
	if strings.ContainsAny(p, " \t\r\n") {
		return fmt.Errorf("%w: pattern %q has a blank", driver.ErrConfig, p)
	}
	return nil
}

// covers reports whether every subject of inner is one of outer; both may hold
// wildcards.
func covers(outer, inner string) bool {
	both, ok := intersect(outer, inner)
	return ok && both == inner
}

// intersect is the pattern of the subjects that both a and b select.
func intersect(a, b string) (string, bool) {
	at, bt := strings.Split(a, "."), strings.Split(b, ".")
	var out []string
	for i := 0; ; i++ {
		switch {
		case i == len(at) && i == len(bt):
			return strings.Join(out, "."), true
		case i == len(at) || i == len(bt):
			return "", false // > needs at least one token
		case at[i] == ">":
			return strings.Join(append(out, bt[i:]...), "."), true
		case bt[i] == ">":
			return strings.Join(append(out, at[i:]...), "."), true
		case at[i] == "*":
			out = append(out, bt[i])
		case bt[i] == "*" || at[i] == bt[i]:
			out = append(out, at[i])
		default:
			return "", false
		}
	}
}

// filters are the subjects of a stream that pattern selects, without those
// that another of them covers.
func filters(subjects []string, pattern string) []string {
	var all []string
	for _, s := range subjects {
		if f, ok := intersect(s, pattern); ok {
			all = append(all, f)
		}
	}
	var out []string
	for i, f := range all {
		covered := false
		for j, g := range all {
			if i != j && covers(g, f) && (f != g || j < i) {
				covered = true
			}
		}
		if !covered {
			out = append(out, f)
		}
	}
	return out
}
