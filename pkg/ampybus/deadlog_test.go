package ampybus

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// shelf is a broker of which only history can be read: a log of dead letters
// and one of settlements.
type shelf struct {
	driver.Transport
	held  map[string][]driver.Delivery // by topic
	clock time.Time
	read  int // records
}

const (
	shelfLetters     = "ampy.dev.dlq.v1.orders"
	shelfSettlements = "ampy.dev.control.v1.dlq_settlements"
	shelfLog         = "ORDERS" // where the messages died
)

func newShelf() *shelf {
	return &shelf{held: make(map[string][]driver.Delivery), clock: time.Unix(1_700_000_000, 0).UTC()}
}

func (s *shelf) deadLog() *deadLog {
	return newDeadLog(New(s, Options{}), "g", Scope{Env: "dev", Domain: DomainOrders})
}

func (*shelf) Name() string          { return "shelf" }
func (*shelf) Limits() driver.Limits { return driver.Limits{MaxRecordBytes: 1 << 20} }

func (s *shelf) Read(_ context.Context, c driver.ReadConfig) (driver.Reader, error) {
	ds := slices.DeleteFunc(slices.Clone(s.held[c.Pattern]), func(d driver.Delivery) bool { return d.Pos < c.From[d.Log] })
	s.read += len(ds)
	return &shelfReader{ds: ds}, nil
}

type shelfReader struct {
	driver.Reader
	ds []driver.Delivery
}

func (r *shelfReader) Next(context.Context) ([]driver.Delivery, error) {
	ds := r.ds
	if r.ds = nil; len(ds) == 0 {
		return nil, io.EOF
	}
	return ds, nil
}

func (*shelfReader) Close() error { return nil }

func (s *shelf) store(topic string, h Headers, value []byte) *driver.Delivery {
	s.clock = s.clock.Add(time.Millisecond)
	h.Topic, h.RunID = topic, "run"
	d := &driver.Delivery{
		Record: driver.Record{Topic: topic, Key: h.PartitionKey, Headers: EncodeHeaders(h), Value: value},
		Log:    topic, Pos: uint64(len(s.held[topic]) + 1), StoredAt: s.clock,
	}
	s.held[topic] = append(s.held[topic], *d)
	return d
}

// bury stores the dead letter of the message at pos.
func (s *shelf) bury(key, id string, retry int, pos uint64) *driver.Delivery {
	h := NewHeaders("ampy.orders.v1.OrderRequest", "oms@1", "test", key)
	h.MessageID, h.RetryCount = id, retry
	h.DLQ = DLQInfo{Reason: "refused", Topic: "ampy.dev.orders.v1.requests", Group: "g", Origin: fmt.Sprintf("%s:%d", shelfLog, pos), Attempts: 1, At: s.clock}
	return s.store(shelfLetters, h, nil)
}

// settle records that the dead letter at origin was redriven, its copy stored at
// target; or discarded, where target is 0.
func (s *shelf) settle(t interface{ Fatal(...any) }, origin string, target uint64) {
	m := &controlv1.DeadLetterSettlement{Origin: origin, ConsumerGroup: "g", Outcome: controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_DISCARDED}
	if target > 0 {
		m.Outcome = controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_REDRIVEN
		m.TargetOrigin = fmt.Sprintf("%s:%d", shelfLog, target)
	}
	value, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s.store(shelfSettlements, NewHeaders(settlementSchema, "dlq@1", "test", origin), value)
}

func parkedNow(t interface{ Fatal(...any) }, d *deadLog, lane string, from uint64) map[string][]letter {
	open, err := d.parked(context.Background(), lane, from)
	if err != nil {
		t.Fatal(err)
	}
	letters := make(map[string][]letter)
	for key, p := range open {
		letters[key] = p.open
	}
	return letters
}

func TestFurtherLanesReadOnlyNewDeadLetters(t *testing.T) {
	s := newShelf()
	for i := range 1000 {
		s.bury("k"+strconv.Itoa(i), NewID(), 0, uint64(i+1))
	}
	d := s.deadLog()
	keys := 0
	for share := range 8 {
		keys += len(parkedNow(t, d, driver.LaneOf(shelfLog, share, 8), 1))
	}
	s.settle(t, s.bury("new", NewID(), 0, 2000).Origin(), 0)
	s.bury("newer", NewID(), 0, 2001)
	if got := parkedNow(t, d, shelfLog, 1); len(got) != 1001 || got["newer"] == nil || got["new"] != nil {
		t.Errorf("%d keys are parked, want the first 1000 and the newest", len(got))
	}
	if keys != 1000 {
		t.Errorf("the lanes have %d parked keys together, want 1000", keys)
	}
	if most := 1000 + 3*20; s.read > most {
		t.Errorf("%d records were read for nine lanes, want at most %d", s.read, most)
	}
}

// A log that was made again gives its positions to other records.
func TestADeadLetterLogThatWasMadeAgainIsReadFromItsBeginning(t *testing.T) {
	for name, refill := range map[string]int{"shorter": 2, "as long": 5, "longer": 9} {
		t.Run(name, func(t *testing.T) {
			s := newShelf()
			d := s.deadLog()
			for i := range 5 {
				s.bury("old"+strconv.Itoa(i), NewID(), 0, uint64(i+1))
			}
			if got := parkedNow(t, d, shelfLog, 1); len(got) != 5 {
				t.Fatalf("%d keys are parked, want 5", len(got))
			}
			s.held[shelfLetters] = nil
			for i := range refill {
				s.bury("new"+strconv.Itoa(i), NewID(), 0, uint64(i+10))
			}
			if got := parkedNow(t, d, shelfLog, 1); len(got) != refill || got["new0"] == nil {
				t.Errorf("%d keys are parked, want the %d new ones: %v", len(got), refill, got)
			}
		})
	}
}

// history is what may happen to the messages of some keys, in the order of their
// log: each dies, or does not; dead ones are redriven, oldest first, or discarded.
type history struct {
	t     *rapid.T
	s     *shelf
	next  uint64 // position of the next record of the log
	floor uint64
	open  []*dead
	done  []*dead // their copies were applied
}

type dead struct {
	key, id string
	retry   int
	at      string
	copy    uint64 // not handled yet; 0: none
}

func (h *history) step() {
	switch op := rapid.IntRange(0, 4).Draw(h.t, "op"); {
	case op == 0 || len(h.open) == 0: // a message dies
		x := &dead{key: "k" + strconv.Itoa(rapid.IntRange(0, 3).Draw(h.t, "key")), id: NewID()}
		x.at = h.s.bury(x.key, x.id, 0, h.next).Origin()
		h.open = append(h.open, x)
		h.next++
	default:
		i := rapid.IntRange(0, len(h.open)-1).Draw(h.t, "letter")
		x := h.open[i]
		switch {
		case x.copy == 0 && op == 1:
			h.s.settle(h.t, x.at, 0)
			h.open = slices.Delete(h.open, i, i+1)
		case x.copy == 0:
			x.copy = h.next
			h.next++
			h.s.settle(h.t, x.at, x.copy)
		case op < 4: // the copy is applied
			h.done = append(h.done, x)
			h.open = slices.Delete(h.open, i, i+1)
		default: // the copy dies
			x.retry++
			x.at = h.s.bury(x.key, x.id, x.retry, x.copy).Origin()
			x.copy = 0
		}
	}
	// The floor passes no copy that is not handled.
	most := h.next
	for _, x := range h.open {
		if x.copy > 0 {
			most = min(most, x.copy)
		}
	}
	if most > h.floor {
		h.floor = rapid.Uint64Range(h.floor, most).Draw(h.t, "floor")
	}
}

// holding are the origins of the dead letters that hold their keys.
func (h *history) holding() (origins []string) {
	for _, x := range h.open {
		origins = append(origins, x.at)
	}
	for _, x := range h.done {
		if x.copy >= h.floor { // an owner that begins there cannot know it
			origins = append(origins, x.at)
		}
	}
	slices.Sort(origins)
	return origins
}

func TestReadingOnFindsTheSameAsReadingAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{t: t, s: newShelf(), next: 1, floor: 1}
		d := h.s.deadLog()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			h.step()
			if rapid.Bool().Draw(t, "look") {
				got, want := parkedNow(t, d, shelfLog, h.floor), parkedNow(t, h.s.deadLog(), shelfLog, h.floor)
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("at %d read on:  %+v\nread all: %+v", h.floor, got, want)
				}
				var origins []string
				for _, ls := range got {
					for _, l := range ls {
						origins = append(origins, l.at)
					}
				}
				slices.Sort(origins)
				if !slices.Equal(origins, h.holding()) {
					t.Fatalf("at %d %v are open, want %v", h.floor, origins, h.holding())
				}
			}
		}
	})
}
