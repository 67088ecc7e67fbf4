package ampybus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Handler applies one message. Nil: done. An error: the message is tried again
// after a pause, with its key held back, until the retry budget is spent; then
// it becomes a dead letter. A panic counts as an error. ctx ends when the
// message's lane was lost or shutdown cannot wait longer; an attempt that ends
// with an error then is no failure, and the message is delivered again.
//
// Handlers of different keys run at once; messages of one key one at a time.
// Delivery is at least once: effects that must not happen twice belong in a
// store that dedupes (package inbox).
type Handler func(ctx context.Context, m *Message) error

// OnGap says what a consumer does when records are gone before it saw them.
type OnGap int

// What to do about a gap.
const (
	GapDefault  OnGap = iota // halt where dead letters park their key, else continue
	GapHalt                  // Consume returns a *DataGapError
	GapContinue              // notice, and go on behind the gap
)

// Consumer describes a durable group. Pattern and Group are required; the zero
// value of the rest works.
type Consumer struct {
	// Pattern selects topics; its tokens may be "*", the last ">".
	Pattern string
	// Group names the durable position: letters, digits, "_" and "-", at most 64.
	Group string
	// Member names this process, for humans. Empty: made up.
	Member string
	// Workers bounds handlers running at once. Zero: 4 per CPU.
	Workers int
	// Retry is the retry budget. Nil: the domain's.
	Retry *Retry
	// OnDead: Skip or Park. Zero: the domain's.
	OnDead OnDead
	// OnGap: zero is GapDefault.
	OnGap OnGap
	// Start is where a new group begins. Zero: at the oldest record held.
	Start time.Time
	// StartNew makes a new group begin behind the newest record.
	StartNew bool
	// Dedupe remembers what was applied. Nil: in memory, the last million
	// messages of this process. NoDedupe: nothing.
	Dedupe DedupeStore
	// MaxItems and MaxBytes bound what is fetched and not finished; MaxSpan the
	// positions from the oldest unfinished record on, per lane. Zero: 4,096
	// items, 64 MiB, 10,000 positions.
	MaxItems int
	MaxBytes int64
	MaxSpan  int
	// CommitEvery bounds how long a finished message stays uncommitted.
	// Zero: 200 ms.
	CommitEvery time.Duration
	// Lease is how long a silent member keeps its lanes. Zero: 10 s.
	Lease time.Duration
	// Shares divides each log by partition key into so many lanes, so that as
	// many members can work on one log, each key in order. On NATS every share
	// reads the whole log and drops the rest, so it helps where handlers are the
	// limit, not reading. Kafka ignores it: its partitions are the shares. All
	// members of a group must use the same number; to change it, stop them all.
	// At most driver.MaxShares. Zero: 1, one active member per log.
	Shares int
	// DrainTimeout bounds how long running handlers may go on after ctx ended,
	// before their ctx ends too. Zero: 8 s.
	DrainTimeout time.Duration
	// Check looks at a verified message before it is deduplicated and handled,
	// for example whether its payload decodes. An error is poison: the message
	// becomes a dead letter at once, without a retry. Nil: no check.
	Check func(m *Message) error
}

const (
	defaultMaxItems     = 4096
	defaultMaxBytes     = 64 << 20
	defaultCommitEvery  = 200 * time.Millisecond
	defaultDrainTimeout = 8 * time.Second
	workersPerCPU       = 4
	// commitStrides of MaxSpan: a lane commits early when such a part of it is
	// finished, so that commits keep ahead of delivery at any speed, and are few.
	commitStrides = 4
)

// A group is a consumer's durable name on both brokers, and part of
// configuration paths: so no dots, wildcards, spaces or separators.
var groupName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (c Consumer) withDefaults() Consumer {
	if c.Workers <= 0 {
		c.Workers = workersPerCPU * runtime.GOMAXPROCS(0)
	}
	if c.MaxItems <= 0 {
		c.MaxItems = defaultMaxItems
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.MaxSpan <= 0 {
		c.MaxSpan = driver.DefaultMaxSpan
	}
	if c.CommitEvery <= 0 {
		c.CommitEvery = defaultCommitEvery
	}
	if c.DrainTimeout <= 0 {
		c.DrainTimeout = defaultDrainTimeout
	}
	if c.Dedupe == nil {
		c.Dedupe = NewMemoryDedupe(0)
	}
	return c
}

// Validate reports every fault of c, each naming its field.
func (c Consumer) Validate() error {
	var faults []error
	if _, err := ParsePattern(c.Pattern); err != nil {
		faults = append(faults, err)
	}
	if !groupName.MatchString(c.Group) {
		faults = append(faults, &FieldError{
			Field: "group", Value: c.Group, Problem: "not a legal group name",
			Fix: "use 1 to 64 letters, digits, '_' or '-'",
		})
	}
	if c.StartNew && !c.Start.IsZero() {
		faults = append(faults, &FieldError{Field: "start", Problem: "Start and StartNew exclude each other", Fix: "set one of them"})
	}
	if c.Retry != nil && c.Retry.Attempts < 1 {
		faults = append(faults, &FieldError{Field: "retry.attempts", Value: fmt.Sprint(c.Retry.Attempts), Problem: "less than one attempt", Fix: "use 1 for no retry"})
	}
	if c.Shares < 0 || c.Shares > driver.MaxShares {
		faults = append(faults, &FieldError{Field: "shares", Value: fmt.Sprint(c.Shares), Problem: "not a number of shares", Fix: fmt.Sprintf("use 1 to %d", driver.MaxShares)})
	}
	return errors.Join(faults...)
}

// Consume joins the durable group and hands its messages to h until ctx ends;
// then it lets running handlers finish, commits, gives its lanes to other
// members, and returns nil. A broker that cannot be reached is waited for, with
// a notice. Any other return is an error: the configuration was refused, the broker took the group away for good, the bus was closed, or
// a gap halted it (*DataGapError).
//
// A message is finished when h returned nil, when it was a duplicate, or when
// its dead letter is stored. Only the contiguous prefix of finished messages
// is committed, so a crash loses nothing and repeats at most MaxSpan messages
// of a lane.
func (b *Bus) Consume(ctx context.Context, c Consumer, h Handler) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if b.isClosed() {
		return ErrClosed
	}
	c = c.withDefaults()
	src, err := b.join(ctx, c)
	if err != nil || src == nil {
		return err
	}
	return newEngine(b, c, h, src).run(ctx)
}

// join opens the group. A broker that is away for the moment, as between two
// leaders, is waited for; no source and no error means that ctx ended first.
func (b *Bus) join(ctx context.Context, c Consumer) (driver.Source, error) {
	for attempt := 1; ; attempt++ {
		src, err := b.t.Open(ctx, driver.GroupConfig{
			Group: c.Group, Pattern: c.Pattern, Member: c.Member,
			Start: c.Start, StartNew: c.StartNew, MaxSpan: c.MaxSpan, Lease: c.Lease,
			Shares: c.Shares, KeyOf: keyOf,
		})
		if err == nil {
			return src, nil
		}
		if ctx.Err() != nil {
			return nil, nil //nolint:nilerr // the caller asked to end; that is no failure
		}
		if !errors.Is(err, driver.ErrUnavailable) && !errors.Is(err, driver.ErrUnreachable) {
			return nil, fmt.Errorf("open group %s on %s: %w", c.Group, c.Pattern, err)
		}
		b.opts.Observer.Noticed(Notice{Kind: NoticeTrouble, Group: c.Group, Text: "the group cannot be opened yet; trying on", Err: err})
		if !waitFor(ctx, infrastructureBackoff.Wait(attempt, globalRand{})) {
			return nil, nil
		}
	}
}

// waitFor waits for d; false when ctx ended first.
func waitFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
