package ampybus

import "time"

// QoSClass says how hard the bus tries, and for how long (specification §8).
type QoSClass int

const (
	// Critical traffic moves money: it is useless when late, so retries are
	// short and an outcome is known soon.
	Critical QoSClass = iota + 1
	// Standard traffic is market data: the next record replaces it soon.
	Standard
	// Bulk traffic is rare or large, and worth waiting for.
	Bulk
)

// String is the class's name in lower case.
func (c QoSClass) String() string {
	switch c {
	case Critical:
		return "critical"
	case Standard:
		return "standard"
	case Bulk:
		return "bulk"
	}
	return "unknown"
}

// OnDead says what happens to a key after one of its records has become a dead
// letter. Zero means: as the domain's policy says.
type OnDead int

const (
	// Skip goes on with the key's next record.
	Skip OnDead = iota + 1
	// Park sends the key's following records to the dead letters too, in order,
	// until an operator redrives or releases the key.
	Park
)

// String is the choice's name in lower case.
func (d OnDead) String() string {
	switch d {
	case Skip:
		return "skip"
	case Park:
		return "park"
	}
	return "default"
}

// Retry bounds how often a consumer runs a failing handler. The wait before
// retry n is drawn from [d/2, d] with d = min(Cap, Base * 2^n). Whichever of
// Attempts and Elapsed is used up first ends it.
type Retry struct {
	// Attempts counts all runs, the first too.
	Attempts int
	// Elapsed is the time from the first run.
	Elapsed time.Duration
	// Base and Cap shape the waits.
	Base, Cap time.Duration
}

// KeyShape says how a domain's partition key and its subtopic belong together.
// Validate checks it where both look as the specification writes them.
type KeyShape int

const (
	// KeyFree: key and subtopic have nothing to do with each other.
	KeyFree KeyShape = iota
	// KeyIsSubtopic: key and subtopic are both mic.symbol.
	KeyIsSubtopic
	// KeySecurityOfKind: subtopic kind.symbol, key symbol.mic.
	KeySecurityOfKind
	// KeyIsPair: subtopic base.quote, or one word for all pairs; key base.quote.
	KeyIsPair
	// KeyUnderSubtopic: key subtopic|rest.
	KeyUnderSubtopic

	// The specification does not fix the rest; Lint alone looks at it.

	// KeySecurity: subtopic mic.symbol, key symbol.mic or symbol.mic|rest.
	KeySecurity
	// KeySame: the key is the subtopic.
	KeySame
	// KeyOfAccount: key account|rest.
	KeyOfAccount
)

// String is the shape's name in lower case.
func (s KeyShape) String() string {
	switch s {
	case KeyFree:
		return "free"
	case KeyIsSubtopic:
		return "subtopic"
	case KeySecurityOfKind:
		return "security_of_kind"
	case KeyIsPair:
		return "pair"
	case KeyUnderSubtopic:
		return "under_subtopic"
	case KeySecurity:
		return "security"
	case KeySame:
		return "same"
	case KeyOfAccount:
		return "of_account"
	}
	return "unknown"
}
