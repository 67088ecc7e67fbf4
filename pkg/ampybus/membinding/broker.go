package membinding

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Config sets a Broker up. The zero value works.
type Config struct {
	// DedupeWindow is how long a log remembers the ID of a record. Zero: 2
	// minutes, as JetStream.
	DedupeWindow time.Duration
	// MaxRecordBytes bounds headers and value of one record. Zero: 1 MiB, as
	// NATS.
	MaxRecordBytes int
	// MaxLogBytes bounds what one log holds. Zero: 256 MiB.
	MaxLogBytes int64
	// DropOldest makes room in a full log by dropping its oldest records.
	// Without it a full log refuses with driver.ErrFull.
	DropOldest bool
	// AckTimeout is how long a publish waits for an acknowledgement that does
	// not come. Zero: 1 s.
	AckTimeout time.Duration
}

const (
	defaultDedupeWindow   = 2 * time.Minute
	defaultMaxRecordBytes = 1 << 20
	defaultMaxLogBytes    = 256 << 20
	defaultAckTimeout     = time.Second
)

func (c Config) withDefaults() Config {
	if c.DedupeWindow <= 0 {
		c.DedupeWindow = defaultDedupeWindow
	}
	if c.MaxRecordBytes <= 0 {
		c.MaxRecordBytes = defaultMaxRecordBytes
	}
	if c.MaxLogBytes <= 0 {
		c.MaxLogBytes = defaultMaxLogBytes
	}
	if c.AckTimeout <= 0 {
		c.AckTimeout = defaultAckTimeout
	}
	return c
}

// Broker holds logs and groups. It starts no goroutine of its own and needs no
// Close. It is safe for concurrent use.
type Broker struct {
	cfg Config

	// mu guards the broker and all that hangs on it: logs, groups, and the
	// broker's side of each client.
	mu       sync.Mutex
	id       string
	logs     map[string]*log
	groups   map[string]*group
	clients  []*Transport // connected or cut off, in the order of connecting
	clock    time.Time    // of the last record stored
	outages  int
	refusals []*refusal
	members  int // that ever joined a group
}

// New returns a broker that holds nothing.
func New(c Config) *Broker {
	return &Broker{
		cfg:    c.withDefaults(),
		id:     "memory-" + ampybus.NewID(),
		logs:   make(map[string]*log),
		groups: make(map[string]*group),
	}
}

// Connect returns a bus over a client of its own.
func (b *Broker) Connect(o ampybus.Options) *ampybus.Bus {
	return ampybus.New(b.Transport(), o)
}

// Transport returns a client of its own, independent of the others as another
// process would be.
func (b *Broker) Transport() *Transport {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := newTransport(b)
	t.connected = b.outages == 0
	b.clients = append(b.clients, t)
	return t
}

// Groups names the groups that ever read, sorted.
func (b *Broker) Groups() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for name := range b.groups {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// logTokens is how many tokens of a topic name its log: one log for each
// environment and domain.
const logTokens = 3

// logName is the log of a topic, "ampy.prod.orders", or "" for a topic that is
// too short to have one.
func logName(topic string) string {
	end := 0
	for range logTokens {
		i := strings.IndexByte(topic[end:], '.')
		if i <= 0 {
			return ""
		}
		end += i + 1
	}
	if end == len(topic) {
		return ""
	}
	return topic[:end-1]
}

// logFor finds or creates the log of a topic. The lock is held.
func (b *Broker) logFor(topic string) (*log, error) {
	name := logName(topic)
	if name == "" {
		return nil, driver.ErrNoLog
	}
	l := b.logs[name]
	if l == nil {
		l = newLog(name)
		b.logs[name] = l
		for _, g := range b.groups {
			g.logCreated(l)
		}
	}
	return l, nil
}

// logsOf lists the logs that can hold topics of p, by name. The lock is held.
func (b *Broker) logsOf(p pattern) []*log {
	var ls []*log
	for _, l := range b.logs {
		if p.overlaps(l.name) {
			ls = append(ls, l)
		}
	}
	slices.SortFunc(ls, func(x, y *log) int { return strings.Compare(x.name, y.name) })
	return ls
}

// now is the time of storing: UTC and growing from record to record, so that a
// window has sharp bounds even where the clock stands still. The lock is held.
func (b *Broker) now() time.Time {
	now := time.Now().UTC().Round(0)
	if !now.After(b.clock) {
		now = b.clock.Add(1)
	}
	b.clock = now
	return now
}

// stored wakes whoever waits for records of l. The lock is held.
func (b *Broker) stored(l *log) {
	for _, g := range b.groups {
		for _, ln := range g.on(l.name) {
			if ln.owner != nil {
				ln.owner.wakes()
			}
		}
	}
	for _, t := range b.clients {
		for _, r := range t.readers {
			r.wakes()
		}
	}
}
