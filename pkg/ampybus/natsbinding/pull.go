package natsbinding

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Reasons for which a puller stops. All mean the same to its owner: something
// may be missing, begin again from a known position.
var (
	errDeliveryGap = errors.New("a delivery was lost on the way")
	errSilent      = errors.New("no heartbeat from the server")
	errNoConsumer  = errors.New("the consumer is gone")
	errInterrupted = errors.New("the connection was interrupted")
)

// pullConfig says what a puller asks for.
type pullConfig struct {
	stream, consumer string
	batch            int           // records per pull
	expires          time.Duration // how long a pull stays open
	heartbeat        time.Duration // how often the server speaks when there is nothing
	wake             chan<- struct{}
}

// arrivals are records with what the consumer says about each.
type arrivals struct {
	records []driver.Delivery
	notes   []note
	bytes   int
}

// chunkRecords bounds arrivals that are handed over at once: growing one long
// list would copy most records twice.
const chunkRecords = 1024

type note struct {
	seq    uint64 // the consumer's own count
	behind uint64 // records behind this one
	// sure: nothing that the consumer should bring lies before this record and
	// behind the one before: it was waited for without a break.
	sure bool
}

// puller brings a consumer's records, in order and without a hole, or says
// that it cannot: the consumer's sequence must grow by one with each record.
// One pull is open at a time.
type puller struct {
	t      *Transport
	c      pullConfig
	inbox  string
	sub    *nats.Subscription
	next   string // subject of pull requests
	unpack unpacker

	mu      sync.Mutex
	full    []arrivals // before buf
	buf     arrivals
	usual   int    // records in what was last taken
	waiting int    // records in full and buf
	size    int    // their bytes, and those of what was taken and not handed over
	taken   int    // the latter alone
	room    int    // records that may still be asked for
	asked   int    // records that the open pull may still bring; 0: none is open
	got     int    // records that it brought
	bytes   int    // its byte limit
	least   int    // that a record was too large for a smaller one
	seq     uint64 // last consumer sequence
	behind  uint64 // records behind the last one, when it was delivered
	blind   bool   // no pull was open since the last record came
	scanned uint64 // the server has looked at everything up to here
	prefix  string // of reply subjects
	heard   time.Time
	err     error
	closed  bool
}

func newPuller(t *Transport, c pullConfig) (*puller, error) {
	p := &puller{
		t: t, c: c, inbox: t.nc.NewInbox(),
		next:  "$JS.API.CONSUMER.MSG.NEXT." + c.stream + "." + c.consumer,
		heard: time.Now(),
	}
	sub, err := t.nc.Subscribe(p.inbox, p.receive)
	if err != nil {
		return nil, requestError("subscribe for records", err)
	}
	t.folds.add(c.stream + "." + c.consumer)
	// What can arrive is bounded by the open pull.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, requestError("subscribe for records", err)
	}
	p.sub = sub
	t.pulls.add(1)
	return p, nil
}

// allow sets how many records may be here, not taken yet, from now on, and
// asks for more.
func (p *puller) allow(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.room = n - p.waiting
	p.ask()
}

// take returns what has arrived, or why there will be nothing more. It does
// not wait. It counts against the limit until handed is called.
func (p *puller) take() (arrivals, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	as := p.buf
	if len(p.full) > 0 {
		as, p.full = p.full[0], p.full[1:]
	} else {
		p.buf = arrivals{}
	}
	if len(as.records) == 0 {
		return arrivals{}, p.err
	}
	p.usual = len(as.records)
	p.waiting -= len(as.records)
	p.taken += as.bytes
	return as, nil
}

// handed says that nothing of what was taken is held any more.
func (p *puller) handed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size -= p.taken
	p.taken = 0
}

// ask opens a pull if none is open and there is room. The lock is held.
func (p *puller) ask() {
	n := min(p.room, p.c.batch)
	if p.asked > 0 || p.err != nil || p.closed {
		return
	}
	share := p.t.pulls.share()
	if n <= 0 || p.size >= share {
		p.blind = true
		return
	}
	p.bytes = max(p.least, share)
	var b [160]byte
	req := append(b[:0], `{"expires":`...)
	req = strconv.AppendInt(req, int64(p.c.expires), 10)
	req = append(req, `,"idle_heartbeat":`...)
	req = strconv.AppendInt(req, int64(p.c.heartbeat), 10)
	req = append(req, `,"batch":`...)
	req = strconv.AppendInt(req, int64(n), 10)
	req = append(req, `,"max_bytes":`...)
	req = strconv.AppendInt(req, int64(p.bytes), 10)
	req = append(req, '}')
	if err := p.t.nc.PublishRequest(p.next, p.inbox, req); err != nil {
		p.stop(fmt.Errorf("%w: %w", errInterrupted, err))
		return
	}
	p.asked, p.got, p.heard = n, 0, time.Now()
}

// stop ends the puller with a reason. The lock is held.
func (p *puller) stop(err error) {
	if p.err == nil {
		p.err = err
	}
	p.asked = 0
	p.signal()
}

func (p *puller) signal() {
	select {
	case p.c.wake <- struct{}{}:
	default:
	}
}

func (p *puller) receive(m *nats.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || p.closed {
		return
	}
	p.heard = time.Now()
	r, err := parseReceipt(m.Reply)
	if err != nil || r.folded > len(m.Data) {
		p.status(m)
		return
	}
	if r.seq != p.seq+1 && !mutant.On("no-reset-on-takeover") {
		p.stop(errDeliveryGap)
		return
	}
	if len(p.buf.records) == chunkRecords {
		p.full = append(p.full, p.buf)
		p.buf = arrivals{}
	}
	if p.buf.records == nil {
		p.buf = arrivals{records: make([]driver.Delivery, 0, p.usual), notes: make([]note, 0, p.usual)}
	}
	d := p.unpack.delivery(m, r, p.c.stream)
	n := recordSize(&d.Record)
	p.buf.records = append(p.buf.records, d)
	p.buf.notes = append(p.buf.notes, note{seq: r.seq, behind: r.pending, sure: p.seq > 0 && p.behind == 0 && !p.blind})
	p.buf.bytes += n
	p.size += n
	p.waiting++
	p.seq, p.behind, p.prefix, p.scanned, p.blind = r.seq, r.pending, r.prefix, r.pos, false
	p.room--
	p.got++
	if p.asked--; p.asked == 0 {
		p.ask()
	}
	if p.waiting == 1 {
		p.signal()
	}
}
