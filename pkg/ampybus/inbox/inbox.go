package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// Config describes an Inbox. Group is required.
type Config struct {
	// Group is the consumer group whose effects the inbox holds. Groups share
	// a database, and its tables, without knowing of each other.
	Group string
	// Dialect: zero is SQLite.
	Dialect Dialect
	// Prefix begins the name of every table: lower-case letters, digits and
	// "_", at most 32. Empty: "ampy_".
	Prefix string
	// Retention is how long Purge leaves a message that was not seen again.
	// Zero: Window of every domain.
	Retention time.Duration
}

const defaultPrefix = "ampy_"

// A prefix is part of SQL text, where no placeholder can stand.
var tablePrefix = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,31}$`)

// Inbox keeps, in a SQL database, what a group has applied. Its methods may be
// called from several goroutines; several processes may share its tables. It
// has no Close: the database is the caller's.
type Inbox struct {
	db  *sql.DB
	cfg Config
	sql statements

	// writer is held by the one writer of this process on SQLite, which has one
	// writer anyway: waiting here is fair and polls nothing. Nil elsewhere.
	writer chan struct{}

	mu      sync.Mutex
	claimed map[string]uint64 // epochs that this process has put into lane rows
	waiting []*call           // for the writer, oldest first

	applied, noOp, conflict, fenced atomic.Uint64
}

// New returns an inbox on db. It touches no table: Create makes them.
func New(db *sql.DB, c Config) (*Inbox, error) {
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if c.Retention == 0 {
		c.Retention = Window()
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("new inbox: %w: %w", ampybus.ErrConfig, err)
	}
	in := &Inbox{db: db, cfg: c, sql: newStatements(c.Dialect, c.Prefix), claimed: make(map[string]uint64)}
	if c.Dialect == SQLite {
		in.writer = make(chan struct{}, 1)
	}
	return in, nil
}

func (c Config) validate() error {
	var faults []error
	if c.Group == "" {
		faults = append(faults, &ampybus.FieldError{Field: "group", Problem: "empty", Fix: "name the consumer group"})
	}
	if c.Dialect != SQLite && c.Dialect != Postgres {
		faults = append(faults, &ampybus.FieldError{Field: "dialect", Value: fmt.Sprint(int(c.Dialect)), Problem: "unknown", Fix: "use SQLite or Postgres"})
	}
	if !tablePrefix.MatchString(c.Prefix) {
		faults = append(faults, &ampybus.FieldError{Field: "prefix", Value: c.Prefix, Problem: "not a legal table prefix", Fix: "use 1 to 32 lower-case letters, digits or '_', not a digit first"})
	}
	if c.Retention < 0 {
		faults = append(faults, &ampybus.FieldError{Field: "retention", Value: c.Retention.String(), Problem: "negative", Fix: "use a duration such as Window returns"})
	}
	return errors.Join(faults...)
}

// Stats counts what became of messages since New, in this process.
type Stats struct {
	Applied  uint64 // effects committed
	NoOp     uint64 // duplicates, known dead letters, versions that are not newer
	Conflict uint64 // a known identity with another payload; refused
	Fenced   uint64 // transactions refused because another member owns the lane
}

// Stats reads the counts. Each is exact; together they are no snapshot.
func (in *Inbox) Stats() Stats {
	return Stats{
		Applied: in.applied.Load(), NoOp: in.noOp.Load(),
		Conflict: in.conflict.Load(), Fenced: in.fenced.Load(),
	}
}

// Seen is always ampybus.SeenNot: what was applied is decided in the
// transaction of the effect, where the answer cannot grow old. With Mark and
// MarkDead it lets an Inbox stand as Consumer.Dedupe, beside its Handler.
func (in *Inbox) Seen(context.Context, *ampybus.Message) (ampybus.Seen, error) {
	return ampybus.SeenNot, nil
}

// Mark does nothing: Handler has recorded the message with its effect.
func (in *Inbox) Mark(context.Context, *ampybus.Message) error { return nil }
