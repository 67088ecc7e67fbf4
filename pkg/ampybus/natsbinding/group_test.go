package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// member drives one source by hand.
type member struct {
	t   testing.TB
	src driver.Source
}

func join(t testing.TB, tr driver.Transport, c driver.GroupConfig) *member {
	t.Helper()
	if c.Group == "" {
		c.Group = "g"
	}
	if c.Lease == 0 {
		c.Lease = testLease
	}
	src, err := tr.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{t: t, src: src}
	t.Cleanup(m.close)
	return m
}

func (m *member) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range m.src.Events() {
			continue
		}
	}()
	_ = m.src.Close(ctx)
	<-done
}

// next is the next event; reports of trouble are passed over.
func (m *member) next() driver.Event {
	m.t.Helper()
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	for {
		select {
		case ev, ok := <-m.src.Events():
			if !ok {
				m.t.Fatalf("the source ended: %v", m.src.Err())
			}
			if ev.Kind != driver.Trouble {
				return ev
			}
		case <-timeout.C:
			m.t.Fatal("no event in 30 s")
		}
	}
}

// expect is next, of one kind.
func (m *member) expect(kind driver.EventKind) driver.Event {
	m.t.Helper()
	ev := m.next()
	if ev.Kind != kind {
		m.t.Fatalf("got event %+v, want kind %d", ev, kind)
	}
	return ev
}

// takes receives n records, which may come in several events.
func (m *member) takes(n int) (last driver.Event, values []string) {
	m.t.Helper()
	for len(values) < n {
		last = m.expect(driver.Records)
		for _, d := range last.Records {
			values = append(values, string(d.Value))
		}
	}
	return last, values
}

func (m *member) commits(ev driver.Event, low uint64) {
	m.t.Helper()
	if err := m.src.Commit(m.t.Context(), ev.Lane, ev.Epoch, low); err != nil {
		m.t.Fatal(err)
	}
}

func publishNumbers(t testing.TB, tr driver.Transport, topic string, first, n int) {
	t.Helper()
	recs := make([]driver.Record, n)
	for i := range recs {
		recs[i] = record(topic, fmt.Sprint(first+i))
	}
	for _, o := range outcomes(t, tr, recs...) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
}

func TestGroupRefusesADurableThatIsNotIts(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	publishOne(t, tr, "1")
	_, err := tr.js.CreateConsumer(t.Context(), "AMPY_DEV_ORDERS", jetstream.ConsumerConfig{Durable: "theirs", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Open(t.Context(), driver.GroupConfig{Group: "theirs", Pattern: "ampy.dev.orders.>"}); !errors.Is(err, driver.ErrConfig) {
		t.Errorf("another program's durable: %v", err)
	}
	join(t, tr, driver.GroupConfig{Group: "ours", Pattern: "ampy.dev.orders.v1.>"})
	if _, err := tr.Open(t.Context(), driver.GroupConfig{Group: "ours", Pattern: "ampy.dev.orders.v2.>"}); !errors.Is(err, driver.ErrConfig) {
		t.Errorf("another pattern: %v", err)
	}
	if _, err := tr.Open(t.Context(), driver.GroupConfig{Group: "a.b", Pattern: "ampy.dev.orders.>"}); !errors.Is(err, driver.ErrConfig) {
		t.Errorf("a group with a dot: %v", err)
	}
}

func TestDurableShowsTheFloor(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	publishNumbers(t, tr, testTopic, 0, 10)
	m := join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
	m.expect(driver.Assigned)
	ev, _ := m.takes(10)
	m.commits(ev, 7)
	c, err := tr.js.Consumer(t.Context(), "AMPY_DEV_ORDERS", "g")
	if err != nil {
		t.Fatal(err)
	}
	info := c.CachedInfo()
	if info.AckFloor.Stream != 6 || info.NumAckPending != 4 || info.Config.Metadata["ampy_bus"] == "" || info.Config.MaxDeliver != -1 {
		t.Errorf("the durable shows %+v of %+v", info.AckFloor, info.Config)
	}
}

func TestStreamMadeAgainIsReadFromItsBeginning(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	publishNumbers(t, tr, testTopic, 0, 10)
	m := join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
	first := m.expect(driver.Assigned)
	ev, _ := m.takes(10)
	m.commits(ev, 9)
	if err := tr.js.DeleteStream(t.Context(), "AMPY_DEV_ORDERS"); err != nil {
		t.Fatal(err)
	}
	publishUntilStored(t, tr, "new")
	m.expect(driver.Lost)
	again := m.expect(driver.Assigned)
	if again.Epoch <= first.Epoch || again.From != 1 {
		t.Errorf("assigned %+v after %+v", again, first)
	}
	if _, vs := m.takes(1); vs[0] != "new" {
		t.Errorf("got %v", vs)
	}
}

// lossyServer keeps a copy of a stream and can go back to it, as a
// server does that lost power before it synced.
type lossyServer struct {
	*broker
	t             *testing.T
	stream, saved string
}

func startLossy(t *testing.T, stream string) *lossyServer {
	b := startBroker(t, Config{})
	return &lossyServer{
		broker: b, t: t, saved: filepath.Join(t.TempDir(), "saved"),
		stream: filepath.Join(b.conf.StoreDir, "jetstream", "$G", "streams", stream),
	}
}

func (s *lossyServer) save() {
	s.t.Helper()
	s.srv.Close()
	s.copy(s.stream, s.saved)
	s.start(s.t)
}

func (s *lossyServer) lose() {
	s.t.Helper()
	s.srv.Close()
	if err := os.RemoveAll(s.stream); err != nil {
		s.t.Fatal(err)
	}
	s.copy(s.saved, s.stream)
	s.start(s.t)
}

func (s *lossyServer) copy(from, to string) {
	s.t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		s.t.Fatal(err)
	}
}

// A server that lost the end of a stream gives its positions to new records: a
// group that had been further must neither wait for its old position to come
// nor pass over what has it now. Clocks may differ: what was stored shortly
// before the newest that it finished comes again.
func TestStreamThatLostItsEndIsReadFromShortlyBefore(t *testing.T) {
	for name, refill := range map[string]int{"not filled again": 1, "filled again": 4} {
		t.Run(name, func(t *testing.T) {
			s := startLossy(t, "AMPY_DEV_ORDERS")
			tr := s.Connect(t)
			publishNumbers(t, tr, testTopic, 0, 5)
			s.save()
			publishUntilStored(t, tr, "5")
			publishNumbers(t, tr, testTopic, 6, 1)
			m := join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
			first := m.expect(driver.Assigned)
			ev, _ := m.takes(7)
			m.commits(ev, 8)
			m.close()

			s.lose()
			for n := range refill {
				publishUntilStored(t, tr, fmt.Sprint("new", n))
			}
			m = join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
			again := m.expect(driver.Assigned)
			if again.Epoch <= first.Epoch || again.From != 1 {
				t.Errorf("assigned %+v after %+v", again, first)
			}
			want := []string{"0", "1", "2", "3", "4"}
			for n := range refill {
				want = append(want, fmt.Sprint("new", n))
			}
			if _, vs := m.takes(len(want)); !slices.Equal(vs, want) {
				t.Errorf("got %v, want %v", vs, want)
			}
		})
	}
}

// foreign makes one stream for everything, of which a group reads a part.
func foreign(t *testing.T) *Transport {
	t.Helper()
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	makeStream(t, tr, jetstream.StreamConfig{Name: "AMPY", Subjects: []string{"ampy.>"}})
	return tr
}

// Where a group passed over what is not its, new records may lie after a loss:
// nothing that it has read lies there, so it goes on exactly there, if what it read
// last is still there to compare with.
func TestPositionsPassedOverAreReadWhenTheStreamLostThem(t *testing.T) {
	for name, c := range map[string]struct {
		refill int
		again  []string // come again
	}{
		"not filled again": {3, []string{"0", "1", "2"}},
		"filled again":     {60, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := startLossy(t, "AMPY")
			tr := s.Connect(t).(*Transport)
			makeStream(t, tr, jetstream.StreamConfig{Name: "AMPY", Subjects: []string{"ampy.>"}})
			publishNumbers(t, tr, testTopic, 0, 3)
			m := join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
			m.expect(driver.Assigned)
			ev, _ := m.takes(3)
			m.commits(ev, 4)
			m.close()
			s.save()
			tr = s.Connect(t).(*Transport)
			m = join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
			m.expect(driver.Assigned)
			publishNumbers(t, tr, "ampy.dev.bars.v1.XNAS.A", 0, 50)
			awaitFloor(t, tr, 54)
			m.close()

			s.lose()
			want := c.again
			for n := range c.refill {
				want = append(want, fmt.Sprint("new", n))
				publishUntilStored(t, tr, fmt.Sprint("new", n))
			}
			m = join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
			m.expect(driver.Assigned)
			if _, vs := m.takes(len(want)); !slices.Equal(vs, want) {
				t.Errorf("got %v, want %v", vs, want)
			}
		})
	}
}

func purge(t *testing.T, tr *Transport, below uint64) {
	t.Helper()
	s, err := tr.js.Stream(t.Context(), "AMPY")
	if err == nil {
		err = s.Purge(t.Context(), jetstream.WithPurgeSequence(below))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRetentionOfOtherTopicsIsNoGap(t *testing.T) {
	tr := foreign(t)
	publishNumbers(t, tr, testTopic, 0, 3)
	m := join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
	m.expect(driver.Assigned)
	ev, _ := m.takes(3)
	m.commits(ev, 4)
	publishNumbers(t, tr, "ampy.dev.bars.v1.XNAS.A", 0, 50)
	awaitFloor(t, tr, 54)
	m.close()
	purge(t, tr, 51)
	publishNumbers(t, tr, testTopic, 3, 1)
	m = join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
	m.expect(driver.Assigned)
	if _, vs := m.takes(1); vs[0] != "3" {
		t.Errorf("got %v", vs)
	}
}

// awaitFloor waits until the group's position has passed what is not its.
func awaitFloor(t *testing.T, tr *Transport, floor uint64) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		lanes, err := tr.Lanes(t.Context(), "g", "ampy.>")
		if err != nil {
			t.Fatal(err)
		}
		if len(lanes) == 1 && lanes[0].Committed >= floor {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the floor stays below %d: %+v", floor, lanes)
		}
	}
}

func TestGapInAPartOfAStreamIsReported(t *testing.T) {
	tr := foreign(t)
	publishNumbers(t, tr, "ampy.dev.bars.v1.XNAS.A", 0, 5)
	publishNumbers(t, tr, testTopic, 0, 3) // positions 6 to 8
	m := join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>", MaxSpan: 3})
	m.expect(driver.Assigned)
	ev, _ := m.takes(3)
	publishNumbers(t, tr, "ampy.dev.bars.v1.XNAS.A", 5, 5)
	publishNumbers(t, tr, testTopic, 3, 4) // positions 14 to 17
	purge(t, tr, 16)
	m.commits(ev, 9)
	if gap := m.expect(driver.Gap); gap.From != 9 || gap.To != 16 {
		t.Errorf("gap [%d, %d), want [9, 16)", gap.From, gap.To)
	}
	if _, vs := m.takes(2); vs[0] != "5" {
		t.Errorf("got %v", vs)
	}
}

func TestDeletedRecordIsNoGap(t *testing.T) {
	tr := foreign(t)
	publishNumbers(t, tr, testTopic, 0, 6)
	s, err := tr.js.Stream(t.Context(), "AMPY")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	m := join(t, tr, driver.GroupConfig{Pattern: "ampy.>"})
	m.expect(driver.Assigned)
	if _, vs := m.takes(5); fmt.Sprint(vs) != "[0 1 3 4 5]" {
		t.Errorf("got %v", vs)
	}
}

func TestEpochsGrowThoughTheLeasesAreLost(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	publishNumbers(t, tr, testTopic, 0, 10)
	m := join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
	first := m.expect(driver.Assigned)
	ev, _ := m.takes(10)
	m.commits(ev, 5)
	m.close()
	if err := tr.js.DeleteKeyValue(t.Context(), leaseBucket); err != nil {
		t.Fatal(err)
	}
	m = join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>"})
	again := m.expect(driver.Assigned)
	if again.Epoch <= first.Epoch {
		t.Errorf("epoch %d after %d", again.Epoch, first.Epoch)
	}
	if _, vs := m.takes(6); vs[0] != "4" {
		t.Errorf("resumed with %v", vs)
	}
}

// A renewal whose answer was lost must not make the owner take itself for
// somebody else.
func TestOwnerKnowsItsOwnLostWrite(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	kv, err := tr.leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := &lease{t: tr, kv: kv, key: "k", owner: "me", ttl: time.Minute}
	if err := l.acquire(t.Context(), nil, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	epoch := l.epoch()
	raise := func(e *leaseEntry) { e.Floor++ }
	lost := l.current()
	raise(&lost)
	if _, _, err := l.write(t.Context(), lost, l.rev); err != nil {
		t.Fatal(err)
	}
	if err := l.update(t.Context(), epoch, raise); err != nil || l.current().Floor != 2 {
		t.Errorf("after its own lost write: %v, %+v", err, l.current())
	}
	theirs := l.current()
	theirs.Owner, theirs.Epoch = "you", theirs.Epoch+1
	if _, _, err := l.write(t.Context(), theirs, l.rev); err != nil {
		t.Fatal(err)
	}
	if err := l.update(t.Context(), epoch, raise); !errors.Is(err, driver.ErrFenced) {
		t.Errorf("after another's write: %v", err)
	}
	if l.left() > 0 {
		t.Error("a fenced owner still thinks that it may act")
	}
}
