package membinding

import (
	"fmt"

	"github.com/AmpyFin/ampy-bus/internal/wildcard"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// pattern selects topics; the zero one selects none.
type pattern struct{ text string }

func parsePattern(s string) (pattern, error) {
	if err := wildcard.Check(s); err != nil {
		return pattern{}, fmt.Errorf("%w: %w", driver.ErrConfig, err)
	}
	return pattern{s}, nil
}

func (p pattern) matches(topic string) bool { return wildcard.Match(p.text, topic) }

// overlaps reports whether a log may hold topics that match.
func (p pattern) overlaps(logName string) bool { return wildcard.Reaches(p.text, logName) }
