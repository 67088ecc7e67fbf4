// Package driver is the seam between the bus and a broker. A driver moves plain
// records: it knows no ampy header and no domain, so the contract exists once,
// above it. Every driver keeps the promises that package drivertest holds as
// tests; there are no optional promises.
//
// To a driver's user every broker looks the same: a set of logs, each an
// ordered sequence of records with growing positions. A group reads a log
// through a lane: a log (or a share of one, by key) with one owner at a time and
// one committed position, below which everything is finished. Members of a
// group divide its lanes evenly among them.
package driver

import (
	"context"
	"strconv"
	"time"
)

// Header is one name and value as it stands on the wire.
type Header struct{ Name, Value string }

// Record is what a broker stores.
type Record struct {
	// Topic is the full bus topic.
	Topic string
	// Key orders: records of one key that one process publishes are stored in
	// the order of their Publish calls.
	Key string
	// ID makes a repeat harmless: a broker stores one record per log and ID
	// within its dedupe window. Empty asks for no deduplication.
	ID string
	// Headers keep their order and may repeat a name.
	Headers []Header
	// Value is not copied: whoever hands a Record over must not change it later.
	Value []byte
}

// Delivery is a record as a log holds it.
type Delivery struct {
	Record
	// Log names the log: a JetStream stream, or a Kafka topic and partition.
	Log string
	// Pos is the record's position in its log. Positions grow; they may have gaps.
	Pos uint64
	// StoredAt is the broker's time of storing, UTC.
	StoredAt time.Time
	// Deliveries counts how often the broker has handed this record to the
	// group, 1 for the first time; 0 when the broker does not count.
	Deliveries int
}

// Origin is where the record is stored: "log:position".
func (d *Delivery) Origin() string { return d.Log + ":" + strconv.FormatUint(d.Pos, 10) }

// Outcome says what became of one published record.
type Outcome struct {
	// Err is nil when the record is stored. ErrUncertain: it may be stored or
	// not. ErrUnavailable: it is not stored, and trying again can help. Any
	// other error: it is not stored, and trying again does not help.
	Err error
	// Duplicate reports that the broker already held a record with this ID and
	// stored no second one. In a call of several records it may be untold behind
	// the first new one.
	Duplicate bool
	// Log and Pos say where the record is stored, when the broker tells; of
	// several records in a call it may not.
	Log string
	Pos uint64
}

// Limits are the broker's own, after its configuration. Zero means unknown.
type Limits struct {
	MaxRecordBytes int // headers and value together
}

// Transport is one connection to a broker. All methods may be called from
// several goroutines.
type Transport interface {
	// Name is a short constant: "memory", "nats" or "kafka".
	Name() string
	// Limits reports what the connected broker accepts.
	Limits() Limits

	// Publish stores recs, all of one Key, in order, and calls settle exactly
	// once for each index, in rising order, from any goroutine and possibly
	// before Publish returns. After a record that is not stored, or uncertain,
	// no later record of the call is attempted: these settle with
	// ErrUnavailable, or with ErrUncertain where they were sent together with
	// the uncertain one (a batch). One attempt only: retries are the caller's,
	// who has at most one call per key unsettled. It does not wait for the broker.
	Publish(recs []Record, settle func(i int, o Outcome))

	// Open joins a durable group. The group's position outlives the Source.
	Open(ctx context.Context, c GroupConfig) (Source, error)

	// Read opens history and live reading without any group: it leaves no
	// trace on the broker.
	Read(ctx context.Context, c ReadConfig) (Reader, error)

	// Lanes reports the lanes of a group (or, with an empty group, the logs
	// themselves) that hold topics matching pattern.
	Lanes(ctx context.Context, group, pattern string) ([]LaneState, error)

	// Close ends the connection and everything opened on it. Records still
	// unsettled settle with ErrUncertain. It may be called twice.
	Close(ctx context.Context) error
}

// Identified is a Transport that tells brokers apart. The identity stays the
// same through restarts, for every client and under every address; it has no
// spaces and no slashes. A broker that has none yet is given one with create,
// and without it answers with an empty one.
type Identified interface {
	Identity(ctx context.Context, create bool) (string, error)
}

// Holder is a Transport that sends records together at less cost. What is
// published between Hold and Release may wait for Release, which must follow at
// once: records of others may wait too. It is a hint, and promises nothing.
type Holder interface {
	Hold()
	Release()
}

// GroupConfig opens a Source.
type GroupConfig struct {
	// Group is the durable name; positions belong to it.
	Group string
	// Pattern selects topics: tokens may be "*", the last may be ">".
	Pattern string
	// Member names this process in the group, for humans. Empty: made up.
	Member string
	// Start is where a group begins on a log that it has never read.
	// Zero: at the oldest record held.
	Start time.Time
	// StartNew makes a new group begin behind the last record held.
	StartNew bool
	// MaxSpan bounds the positions delivered and not committed, per lane.
	// Zero: DefaultMaxSpan.
	MaxSpan int
	// Lease is how long a silent owner keeps its lanes: a killed member's lanes
	// are taken over within about this time. Zero: DefaultLease.
	Lease time.Duration
	// Shares divides each log by key into so many lanes, see LaneOf and ShareOf,
	// so that as many members can work on one log with each key in order. Each
	// share reads the whole log and drops what belongs to others. Zero or 1: one
	// lane per log. All members must agree: one that asks for another number
	// than the living ones is refused with ErrConfig. With no member living the
	// number may change: new lanes begin at the smallest position that an old
	// lane of the log had committed. A broker whose logs are partitions already
	// ignores it.
	Shares int
	// KeyOf names the key of a record, as Shares divides by it. It is called from
	// several goroutines and must not keep the Delivery. Required where Shares is
	// above 1: not every broker stores Record.Key.
	KeyOf func(*Delivery) string
}

// DefaultMaxSpan bounds both memory and what is delivered again after a crash.
const DefaultMaxSpan = 10_000

// DefaultLease outlives a long garbage collection and a broker's failover
// (measured: up to 7.4 s without an acknowledgement).
const DefaultLease = 10 * time.Second

// EventKind tells what happened on a lane.
type EventKind int

const (
	// Assigned: this member owns Lane now; records follow from position From.
	// If the member already owned it (Epoch unchanged), From is where delivery
	// resumes, and records that it knows come again.
	Assigned EventKind = iota + 1
	// Records: Event.Records follow, in log order.
	Records
	// Draining: the lane is to be given away. Finish what runs, commit, then
	// call Done. The source waits for that, for a bounded time.
	Draining
	// Lost: another member may own the lane already. Nothing can be committed.
	Lost
	// Gap: records in positions [From, To) are gone and were never delivered.
	Gap
	// Trouble: the source cannot reach the broker (Err) and keeps trying.
	Trouble
)

// Event is one step of a Source. Lane and Epoch are set for all kinds but
// Trouble. A lane is named after its log; a share of a log adds a slash and the
// share's name ("log/share").
type Event struct {
	Kind    EventKind
	Lane    string
	Epoch   uint64 // fencing token: grows with every change of owner
	From    uint64
	To      uint64
	Records []Delivery
	Err     error
	Done    func()
	// Crashes, of Assigned: how many owners in a row, before this one, vanished
	// without giving the lane away and without a commit that moved it.
	Crashes int
	// Started, of Assigned: what the last of them had marked, as the position
	// behind the record (the first position of some brokers is 0); 0: nothing.
	Started uint64
}

// Source is one member of a group.
type Source interface {
	// Events is the member's stream of events. It is unbuffered or nearly so:
	// who does not receive holds the source back. It is closed when the source
	// has ended; Err then says why.
	Events() <-chan Event
	// Commit records that every position below low is finished. It waits for
	// the broker's word. A member that is no longer the lane's owner at that
	// epoch gets ErrFenced and changes nothing.
	Commit(ctx context.Context, lane string, epoch, low uint64) error
	// Mark notes that the record whose position is behind-1 is being handled, 0
	// that none is. The next owner learns of it if this one dies (Event.Started).
	// It waits for the broker's word; a member that is not the owner gets
	// ErrFenced.
	Mark(ctx context.Context, lane string, epoch, behind uint64) error
	// Pause stops, or resumes, the delivery of a lane's records.
	Pause(lane string, on bool)
	// Close gives all lanes away at once, so that others take over without
	// waiting for the lease, and ends the source. It does not wait for Draining.
	Close(ctx context.Context) error
	// Err is nil until Events is closed, and nil after an orderly Close.
	Err() error
}

// Point is a lane's finished prefix, as for Commit.
type Point struct {
	Lane       string
	Epoch, Low uint64
}

// BatchCommitter is a Source that commits several lanes at less cost than one
// by one.
type BatchCommitter interface {
	// CommitAll is Commit for each point, with an error for each, nil where it is
	// committed. No lane may be named twice.
	CommitAll(ctx context.Context, points []Point) []error
}

// ReadConfig opens a Reader on the window [Start, End) of stored time.
type ReadConfig struct {
	Pattern string
	// Start: zero begins at the oldest record held.
	Start time.Time
	// End: zero ends behind the last record held when Read was called.
	End time.Time
	// New begins behind the last record held when Read was called, and follows.
	New bool
	// Follow goes on with what is stored later, on logs created later too,
	// until ctx or the Reader ends. End must be zero.
	Follow bool
	// From holds positions to begin at, by log; it wins over Start for these.
	From map[string]uint64
}

// Reader reads logs without a group. Records of one log come in log order;
// records of several logs that are all history come in order of StoredAt.
type Reader interface {
	// Next returns the next records, at least one, or io.EOF at the end of the
	// window. A gap in a log that the window should hold is a *GapError; Next
	// goes on behind it when called again.
	Next(ctx context.Context) ([]Delivery, error)
	Close() error
}

// LaneState is a lane, or with no group a log, at one moment.
type LaneState struct {
	Lane      string
	Log       string
	First     uint64 // oldest position held
	Next      uint64 // position behind the newest record
	Committed uint64 // everything below is finished; 0 without a group
	// Pending counts the records from Committed on. Of a share it may be an
	// estimate: the log's records, divided by the number of shares.
	Pending uint64
	Owner   string // the member that owns the lane, if known
	Records uint64 // records held
	Bytes   uint64 // bytes held
}
