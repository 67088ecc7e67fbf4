package cli

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/terminal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// number is a flag for a whole number within bounds.
type number struct {
	value    int
	min, max int
}

func (n *number) String() string {
	if n.value == 0 {
		return ""
	}
	return strconv.Itoa(n.value)
}
func (n *number) Type() string { return "N" }

func (n *number) Set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil || v < n.min || v > n.max {
		return fmt.Errorf("%s is not a whole number from %d to %d", terminal.Field(s), n.min, n.max)
	}
	n.value = v
	return nil
}

// instant is a flag for a point in time with its zone.
type instant struct{ time.Time }

func (i *instant) String() string {
	if i.IsZero() {
		return ""
	}
	return i.Format(time.RFC3339Nano)
}
func (i *instant) Type() string { return "TIME" }

func (i *instant) Set(s string) error {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return fmt.Errorf("%s is not a time with its zone; write 2025-01-01T09:30:00Z", terminal.Field(s))
	}
	i.Time = t.UTC()
	return nil
}

// start is a flag for where reading begins: a time, a duration before now, or
// "all".
type start struct {
	text string
	at   time.Time // zero with "all": at the oldest record
}

func (s *start) String() string { return s.text }
func (s *start) Type() string   { return "TIME|DURATION|all" }

// given reports that the flag was used.
func (s *start) given() bool { return s.text != "" }

func (s *start) Set(text string) error {
	s.text, s.at = text, time.Time{}
	if text == "all" {
		return nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		s.at = time.Now().Add(-d).UTC()
		return nil
	}
	var i instant
	if err := i.Set(text); err != nil {
		return fmt.Errorf("%s is neither a time, a duration nor all; write 2025-01-01T09:30:00Z, 1h or all", terminal.Field(text))
	}
	s.at = i.Time
	return nil
}

// wait is a flag for how long to wait.
type wait struct{ d *time.Duration }

func (w wait) String() string {
	if w.d == nil || *w.d == 0 {
		return ""
	}
	return w.d.String()
}
func (w wait) Type() string { return "DURATION" }

func (w wait) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%s is not a duration above zero; write 500ms, 10s or 1h30m", terminal.Field(s))
	}
	*w.d = d
	return nil
}

// pairs is a flag for headers, one name=value each time.
type pairs []driver.Header

func (p *pairs) String() string { return "" }
func (p *pairs) Type() string   { return "NAME=VALUE" }

func (p *pairs) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return fmt.Errorf("%s is not name=value", terminal.Field(s))
	}
	*p = append(*p, driver.Header{Name: name, Value: value})
	return nil
}

// format is how data is printed.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return "FORMAT" }

func (f *format) Set(s string) error {
	if s != string(formatTable) && s != string(formatJSON) {
		return fmt.Errorf("%s is not table or json", terminal.Field(s))
	}
	*f = format(s)
	return nil
}

// logLevel is how much is logged to stderr.
type logLevel string

func logLevels() []string { return []string{"off", "error", "warn", "info", "debug"} }

func (l *logLevel) String() string { return string(*l) }
func (l *logLevel) Type() string   { return "LEVEL" }

func (l *logLevel) Set(s string) error {
	if !slices.Contains(logLevels(), s) {
		return fmt.Errorf("%s is not one of %s", terminal.Field(s), strings.Join(logLevels(), ", "))
	}
	*l = logLevel(s)
	return nil
}

// slog is the level; "off" is above all others.
func (l logLevel) slog() slog.Level {
	var level slog.Level
	if l == "off" {
		return slog.LevelError + 1
	}
	_ = level.UnmarshalText([]byte(l))
	return level
}
