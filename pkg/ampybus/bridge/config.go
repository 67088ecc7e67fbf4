package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Config of a Bridge. From, To and Pattern are required.
type Config struct {
	// From and To are the brokers. Run closes both.
	From, To driver.Transport
	// FromName and ToName are the brokers' identities, for transports that do
	// not tell them. They must be the same in every bridge between the brokers.
	FromName, ToName string
	// Pattern selects topics.
	Pattern string
	// Exclude holds patterns of topics that stay where they are. Nil:
	// DefaultExclude; empty and not nil: nothing.
	Exclude []string
	// Group is the durable group on the source whose position is the bridge's.
	// Several processes may run one bridge: they divide the lanes. Empty: a name
	// made of the target and what is selected, so that no two bridges share one.
	Group string
	// Start and StartNew say where a new group begins, as in GroupConfig.
	Start    time.Time
	StartNew bool
	// Max ends Run after so many records. Zero: no end.
	Max int
	// Once ends Run when what was stored before it began is carried.
	Once bool
	// PassRefused goes on behind a record that the target refuses. Without it
	// the bridge stops in front of it.
	PassRefused bool
	// OnRefused is called for each refused record. Nil: nobody.
	OnRefused func(Refusal)
	// Observer sees notices of the source and publishes to the target.
	Observer ampybus.Observer
}

// DefaultExclude leaves requests for replay where they were made: whoever
// serves them there would be joined by one on the target, long afterwards.
func DefaultExclude() []string { return []string{"ampy.*.control.v1.replay_requests"} }

// Refusal is a record that the target does not take.
type Refusal struct {
	Topic, Origin, MessageID string
	Err                      error
}

// Limits of what is taken and not yet acknowledged. A record may be 1 MiB.
const (
	maxItems = 8192
	maxBytes = 64 << 20
)

const (
	commitEvery = 500 * time.Millisecond
	// drainTimeout is what acknowledgements under way get when the bridge ends.
	drainTimeout = 8 * time.Second
	closeTimeout = 5 * time.Second
	// forever is how long a record is sent again while the target is away.
	forever = 10 * 365 * 24 * time.Hour
)

// maxHops bounds a path, and with it a circle of brokers with wrong names.
const maxHops = 16

// selection is what a bridge carries, by topic.
type selection struct {
	pattern ampybus.Pattern
	exclude []ampybus.Pattern
}

func newSelection(pattern string, exclude []string) (s selection, err error) {
	var faults []error
	if s.pattern, err = ampybus.ParsePattern(pattern); err != nil {
		faults = append(faults, err)
	}
	if exclude == nil {
		exclude = DefaultExclude()
	}
	for _, x := range exclude {
		p, err := ampybus.ParsePattern(x)
		if err != nil {
			faults = append(faults, fmt.Errorf("exclude: %w", err))
		}
		s.exclude = append(s.exclude, p)
	}
	return s, errors.Join(faults...)
}

func (s *selection) excludes(topic string) bool {
	for _, p := range s.exclude {
		if p.Match(topic) {
			return true
		}
	}
	return false
}

// groupFor is the group of a bridge that was given none.
func (c *Config) groupFor(to string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", to, c.Pattern, c.Exclude))
	return "bridge-" + hex.EncodeToString(sum[:6])
}

// legalName keeps identities apart from what separates them in a path.
func legalName(name string) error {
	if name == "" || strings.ContainsAny(name, " /\t\r\n") {
		return fmt.Errorf("%w: %q cannot name a broker: give it a name without spaces and slashes", driver.ErrConfig, name)
	}
	return nil
}
