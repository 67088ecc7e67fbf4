package ampytest

import (
	"errors"
	"fmt"
	"strings"
)

// Kind names a broken promise.
type Kind string

// What Check looks for.
const (
	// Of publishing.
	NotStored      Kind = "not_stored"      // reported stored, and no log holds it
	StoredFailed   Kind = "stored_failed"   // reported as not stored, and a log holds it
	StoredTwice    Kind = "stored_twice"    // one publish id, two records
	StoredInverted Kind = "stored_inverted" // a later message of the key is stored first
	PosDiverged    Kind = "pos_diverged"    // two contents seen at one position

	// Of effects. A lost message is neither applied nor a dead letter; prefix,
	// middle and suffix say where in its key it is missing.
	LostPrefix    Kind = "lost_prefix"
	LostMiddle    Kind = "lost_middle"
	LostSuffix    Kind = "lost_suffix"
	UnknownEffect Kind = "unknown_effect" // of a message that nobody published
	EffectTwice   Kind = "effect_twice"
	EffectStale   Kind = "effect_stale"  // of an owner that another one had followed
	KeyInverted   Kind = "key_inversion" // a later message of the key took effect first

	// Of commits.
	CommitBeyondDone Kind = "commit_beyond_done"
	CommitBackwards  Kind = "commit_backwards"

	// Of dead letters and gaps.
	DeadMissing   Kind = "dead_missing" // poison that is no dead letter
	DeadTwice     Kind = "dead_twice"
	DeadChanged   Kind = "dead_changed"   // other bytes or headers than the original's
	GapUnreported Kind = "gap_unreported" // records are gone, and nobody said so
)

// Finding is one broken promise.
type Finding struct {
	Kind Kind
	Key  string
	ID   string
	Text string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s: key %s, message %s: %s", f.Kind, f.Key, f.ID, f.Text)
}

// Report is what Check found, and how much it looked at.
type Report struct {
	Findings []Finding

	Published   int // messages handed to the bus
	Uncertain   int // publishes with an uncertain outcome
	Failed      int // publishes that were not stored
	Attempts    int // attempts to store a record, retries and dead letters included
	Recovered   int // uncertain publishes that were stored
	Held        int // records that the logs held at the end
	Delivered   int // deliveries
	Redelivered int // deliveries of a position that had been delivered before
	Applied     int // messages that took effect
	Repeated    int // effects beyond the first of a message
	Dead        int // dead letters
	Commits     int
	Fenced      int // commits refused to a former owner
	Takeovers   int // changes of owner, the first owner aside
	Gaps        int
}

// Count is the number of findings of the given kinds.
func (r *Report) Count(kinds ...Kind) int {
	n := 0
	for _, f := range r.Findings {
		for _, k := range kinds {
			if f.Kind == k {
				n++
			}
		}
	}
	return n
}

// Lost is the number of messages lost, wherever in their key.
func (r *Report) Lost() int {
	return r.Count(LostPrefix, LostMiddle, LostSuffix, NotStored, DeadMissing, GapUnreported)
}

// maxShown keeps a thousand equal findings from hiding the first.
const maxShown = 20

// Err is nil without findings; else it names how many there are of each kind,
// and the first of them.
func (r *Report) Err() error {
	if len(r.Findings) == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d findings:", len(r.Findings))
	for _, f := range r.Findings[:min(len(r.Findings), maxShown)] {
		b.WriteString("\n  " + f.String())
	}
	if more := len(r.Findings) - maxShown; more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return errors.New(b.String())
}
