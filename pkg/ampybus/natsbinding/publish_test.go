package natsbinding

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// makeStream makes a stream as another program or an operator would.
func makeStream(t testing.TB, tr *Transport, c jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	s, err := tr.js.CreateStream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keepAStream makes one more: when the last is deleted the server clears the
// directory of all some time later, and one made then may fail.
func keepAStream(t *testing.T, tr *Transport) {
	t.Helper()
	makeStream(t, tr, jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}})
}

func TestEachDomainGetsTheStreamOfItsPolicy(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	for _, domain := range ampybus.Domains() {
		if o := outcomes(t, tr, record("ampy.paper."+domain+".v1.x", domain))[0]; o.Err != nil {
			t.Fatal(o.Err)
		}
		info, err := tr.streamInfo(t.Context(), "AMPY_PAPER_"+strings.ToUpper(domain))
		if err != nil {
			t.Fatal(err)
		}
		p, _ := ampybus.PolicyFor(domain)
		c := info.Config
		if c.MaxAge != p.Retention || c.Duplicates != p.DedupeWindow || c.Replicas != 1 || c.Subjects[0] != "ampy.paper."+domain+".>" ||
			c.Discard != jetstream.DiscardNew || c.Storage != jetstream.FileStorage || !c.AllowDirect || !c.AllowAtomicPublish || !c.AllowBatchPublish || c.Metadata["ampy_bus"] == "" {
			t.Errorf("%s: %+v", domain, c)
		}
		if c.Duplicates < 2*p.PublishCeiling {
			t.Errorf("%s: publishes are retried for %v, and their ids forgotten after %v", domain, p.PublishCeiling, c.Duplicates)
		}
	}
}

func TestManyProcessesMakeOneStream(t *testing.T) {
	s := brokertest.Start(t)
	var all sync.WaitGroup
	for i := range 8 {
		tr := dial(t, Config{URL: s.URL()})
		all.Go(func() {
			for _, o := range outcomes(t, tr, record(testTopic, fmt.Sprint(i)), record("ampy.dev.fx.v1.rates", fmt.Sprint(i))) {
				if o.Err != nil {
					t.Error(o.Err)
				}
			}
		})
	}
	all.Wait()
	states, err := Streams(t.Context(), Config{URL: s.URL(), Logger: quiet()})
	if err != nil || len(states) != 2 || states[0].Records != 8 || states[1].Records != 8 {
		t.Errorf("streams: %+v, %v", states, err)
	}
}

func TestAdoptedStreamStaysAsItIsAndGetsNoIDs(t *testing.T) {
	s := brokertest.Start(t)
	admin := dial(t, Config{URL: s.URL()})
	stream := makeStream(t, admin, jetstream.StreamConfig{Name: "AMPY", Subjects: []string{"ampy.>"}, Storage: jetstream.FileStorage})
	before := stream.CachedInfo().Config

	var notes bytes.Buffer
	tr := dial(t, Config{URL: s.URL(), Logger: slog.New(slog.NewTextHandler(&notes, nil))})
	for range 2 {
		if o := publishOne(t, tr, "m1"); o.Log != "AMPY" || o.Duplicate {
			t.Errorf("published to %+v", o)
		}
	}
	o := outcomes(t, tr, record("ampy.dev.fills.v1.A", "f"))[0]
	info, err := admin.streamInfo(t.Context(), "AMPY")
	if err != nil || o.Err != nil {
		t.Fatal(err, o.Err)
	}
	if !reflect.DeepEqual(before, info.Config) {
		t.Errorf("the stream was changed: %+v", info.Config)
	}
	states, err := admin.streams(t.Context())
	if err != nil || len(states) != 1 || !states[0].Adopted {
		t.Errorf("streams: %+v, %v", states, err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil || len(m.Header["Nats-Msg-Id"]) > 0 || m.Header.Get("message_id") != "m1" {
		t.Errorf("stored headers: %v, %v", m.Header, err)
	}
	if n := strings.Count(notes.String(), "adopted"); n != 1 {
		t.Errorf("said %d times that the stream is adopted:\n%s", n, notes.String())
	}
}

func TestOperatorsStreamOfOurNameIsOurs(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	makeStream(t, tr, jetstream.StreamConfig{Name: "AMPY_DEV_ORDERS", Subjects: []string{"ampy.dev.orders.>"}})
	publishOne(t, tr, "m1")
	if o := publishOne(t, tr, "m1"); !o.Duplicate || o.Pos != 1 {
		t.Errorf("a repeat settled as %+v", o)
	}
}

func TestDomainInPieces(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	makeStream(t, tr, jetstream.StreamConfig{Name: "EQ", Subjects: []string{"ampy.dev.orders.v1.eq.>"}})
	if o := outcomes(t, tr, record("ampy.dev.orders.v1.eq.A", "a"))[0]; o.Err != nil || o.Log != "EQ" {
		t.Errorf("a topic that a foreign stream holds: %+v", o)
	}
	if o := outcomes(t, tr, record("ampy.dev.orders.v1.fx.A", "b"))[0]; !errors.Is(o.Err, driver.ErrNoLog) {
		t.Errorf("a topic that no stream holds: %+v", o)
	}
	if o := outcomes(t, tr, record("elsewhere.x", "c"))[0]; !errors.Is(o.Err, driver.ErrNoLog) {
		t.Errorf("a topic outside the bus: %+v", o)
	}
}

// refusing is a stream of ours that refuses some records, with fast batches or
// without.
func refusing(t *testing.T, change func(*jetstream.StreamConfig)) map[string]*Transport {
	all := make(map[string]*Transport)
	for _, batches := range []bool{true, false} {
		s := brokertest.Start(t)
		tr := dial(t, Config{URL: s.URL()})
		c := jetstream.StreamConfig{Name: "AMPY_DEV_ORDERS", Subjects: []string{"ampy.dev.orders.>"}, Discard: jetstream.DiscardNew, AllowBatchPublish: batches}
		change(&c)
		makeStream(t, tr, c)
		all[fmt.Sprintf("batches=%v", batches)] = tr
	}
	return all
}

func numbered(n int) []driver.Record {
	recs := make([]driver.Record, n)
	for i := range recs {
		recs[i] = record(testTopic, fmt.Sprint(i))
	}
	return recs
}

// stopsAt publishes recs and expects the records before n stored, that one
// refused with want, and the rest not stored.
func stopsAt(t *testing.T, tr *Transport, recs []driver.Record, n int, want error) {
	t.Helper()
	for i, o := range outcomes(t, tr, recs...) {
		expect := error(nil)
		switch {
		case i == n:
			expect = want
		case i > n:
			expect = driver.ErrUnavailable
		}
		if !errors.Is(o.Err, expect) {
			t.Errorf("record %d of %d: %v, want %v", i, len(recs), o.Err, expect)
		}
	}
	if held := history(t, tr, "ampy.dev.>"); len(held) != n {
		t.Errorf("%d records are held, want %d", len(held), n)
	}
}

func TestFullStreamRefuses(t *testing.T) {
	for _, fits := range []int{1, 2, 5, 7} {
		for name, tr := range refusing(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = int64(fits) }) {
			t.Run(fmt.Sprintf("%s/at=%d", name, fits), func(t *testing.T) {
				stopsAt(t, tr, numbered(8), fits, driver.ErrFull)
			})
		}
	}
}

// A record over the stream's own limit is refused before the server looks at
// its place in a batch.
func TestRecordRefusedAmongOthersStopsTheCall(t *testing.T) {
	for _, large := range []int{1, 2, 5} {
		for name, tr := range refusing(t, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }) {
			t.Run(fmt.Sprintf("%s/at=%d", name, large), func(t *testing.T) {
				recs := numbered(8)
				recs[large].Value = make([]byte, 2000)
				stopsAt(t, tr, recs, large, driver.ErrTooLarge)
			})
		}
	}
}

// The refusal of a batch's last record is the last word, and tells nothing
// about those before.
func TestLastRecordRefusedLeavesNothingWrong(t *testing.T) {
	tr := refusing(t, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 })["batches=true"]
	recs := numbered(8)
	recs[7].Value = make([]byte, 2000)
	for i, o := range outcomes(t, tr, recs...)[1:] {
		if !errors.Is(o.Err, driver.ErrUncertain) {
			t.Errorf("record %d: %v", i+1, o.Err)
		}
	}
	out := outcomes(t, tr, recs...)
	for i, o := range out[:7] {
		if o.Err != nil || !o.Duplicate {
			t.Errorf("repeated record %d: %+v", i, o)
		}
	}
	if !errors.Is(out[7].Err, driver.ErrTooLarge) {
		t.Errorf("the refused record, repeated: %v", out[7].Err)
	}
}

func TestRecordThatCannotBeSentStopsTheCall(t *testing.T) {
	tr := dial(t, Config{URL: brokertest.Start(t).URL()})
	recs := numbered(8)
	recs[4].Headers = append(recs[4].Headers, driver.Header{Name: "Nats-Rollup", Value: "all"})
	out := outcomes(t, tr, recs...)
	for i, o := range out {
		if (o.Err == nil) != (i < 4) || i > 4 && !errors.Is(o.Err, driver.ErrUnavailable) {
			t.Errorf("record %d: %v", i, o.Err)
		}
	}
	if held := history(t, tr, "ampy.dev.>"); len(held) != 4 {
		t.Errorf("%d records are held, want 4", len(held))
	}
}

func TestStreamThatTakesFastBatchesNoLonger(t *testing.T) {
	tr := dial(t, Config{URL: brokertest.Start(t).URL()})
	recs := numbered(30)
	outcomes(t, tr, recs[:10]...)
	info, err := tr.streamInfo(t.Context(), "AMPY_DEV_ORDERS")
	if err != nil {
		t.Fatal(err)
	}
	c := info.Config
	c.AllowBatchPublish = false
	if _, err := tr.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]driver.Record{recs[10:20], recs[20:]} {
		for i, o := range outcomes(t, tr, part...) {
			if o.Err != nil {
				t.Errorf("record %d: %v", i, o.Err)
			}
		}
	}
	if l := tr.logs.lookup(testTopic); l == nil || l.batch != noBatch {
		t.Errorf("the stream is remembered as %+v", l)
	}
	if held := history(t, tr, "ampy.dev.>"); len(held) != 30 {
		t.Errorf("%d records are held, want 30", len(held))
	}
}

func TestAStreamThatCannotBeMadeNowIsMadeLater(t *testing.T) {
	var dir string
	s := brokertest.Start(t, func(c *natsserver.Config) { dir = c.StoreDir })
	tr := dial(t, Config{URL: s.URL()})
	streams := filepath.Join(dir, "jetstream", "$G", "streams")
	if err := errors.Join(os.MkdirAll(filepath.Dir(streams), 0o700), os.WriteFile(streams, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if o := outcomes(t, tr, record(testTopic, "1"))[0]; !errors.Is(o.Err, driver.ErrUnavailable) {
		t.Errorf("where no directory can be made: %+v", o)
	}
	if err := os.RemoveAll(streams); err != nil { // or the server has, which it may still be at
		t.Fatal(err)
	}
	publishUntilStored(t, tr, "1")
}

func TestDeletedStreamIsMadeAgainByTheNextPublish(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	keepAStream(t, tr)
	publishOne(t, tr, "1")
	if err := tr.js.DeleteStream(t.Context(), "AMPY_DEV_ORDERS"); err != nil {
		t.Fatal(err)
	}
	if o := outcomes(t, tr, record(testTopic, "2"))[0]; !errors.Is(o.Err, driver.ErrUnavailable) {
		t.Errorf("without its stream: %+v", o)
	}
	if o := publishOne(t, tr, "2"); o.Pos != 1 {
		t.Errorf("on the stream made again: %+v", o)
	}
}

func TestNothingIsSentLaterBehindTheCallersBack(t *testing.T) {
	b := startBroker(t, Config{})
	tr := b.Connect(t).(*Transport)
	publishOne(t, tr, "before")
	b.srv.Close()
	deadline := time.Now().Add(10 * time.Second)
	n := 0
	for ; n < 50; n++ {
		o := outcomes(t, tr, record(testTopic, fmt.Sprint("lost", n)))[0]
		if errors.Is(o.Err, driver.ErrUncertain) && time.Now().Before(deadline) {
			n-- // the client has not noticed yet
			continue
		}
		if !errors.Is(o.Err, driver.ErrUnavailable) {
			t.Fatalf("without a connection: %v", o.Err)
		}
	}
	b.start(t)
	publishUntilStored(t, tr, "after")
	held := history(t, b.plain(t), "ampy.dev.>")
	for _, d := range held {
		if v := string(d.Value); v != "before" && v != "after" && !strings.HasPrefix(v, "lost0") {
			t.Errorf("%s settled as not stored and is stored", v)
		}
	}
}

// roles is a server with accounts and permissions for them.
func roles(t *testing.T) *natsserver.Server {
	allow := func(subjects ...string) *server.SubjectPermission { return &server.SubjectPermission{Allow: subjects} }
	return brokertest.Start(t, func(c *natsserver.Config) {
		c.Tune = func(o *server.Options) {
			o.Users = []*server.User{
				{Username: "admin", Password: "x"},
				{Username: "publisher", Password: "x", Permissions: &server.Permissions{
					Publish: allow("ampy.dev.orders.>"), Subscribe: allow("_INBOX_pub.>"),
				}},
				{Username: "half", Password: "x", Permissions: &server.Permissions{
					Publish: allow(testTopic, "$JS.API.>"), Subscribe: allow(">"),
				}},
				{Username: "deaf", Password: "x", Permissions: &server.Permissions{
					Publish: allow("ampy.dev.orders.>"), Subscribe: allow("nothing"),
				}},
			}
		}
	})
}

func TestForbiddenPublishFailsAtOnce(t *testing.T) {
	s := roles(t)
	admin := dial(t, Config{URL: s.URL(), User: "admin", Pass: "x"})
	publishOne(t, admin, "1")
	if o := outcomes(t, admin, record("ampy.dev.fills.v1.A", "1"))[0]; o.Err != nil {
		t.Fatal(o.Err)
	}
	tr := dial(t, Config{URL: s.URL(), User: "publisher", Pass: "x", InboxPrefix: "_INBOX_pub"})
	publishOne(t, tr, "2")
	began := time.Now()
	o := outcomes(t, tr, record("ampy.dev.fills.v1.A", "2"))[0]
	if took := time.Since(began); !errors.Is(o.Err, driver.ErrPermission) || took > time.Second {
		t.Errorf("a forbidden publish: %v after %v", o.Err, took)
	}
	if _, err := tr.Open(t.Context(), driver.GroupConfig{Group: "g", Pattern: "ampy.dev.orders.>"}); !errors.Is(err, driver.ErrPermission) {
		t.Errorf("a forbidden group: %v", err)
	}
	if _, err := tr.Read(t.Context(), driver.ReadConfig{Pattern: "ampy.dev.orders.>"}); !errors.Is(err, driver.ErrPermission) {
		t.Errorf("forbidden reading: %v", err)
	}
	refuses(t, Config{URL: s.URL(), User: "deaf", Pass: "x"}, driver.ErrPermission, "InboxPrefix")
}

// A role that may only publish cannot ask which stream holds its subject, and
// still must not put ids into a stream of other programs.
func TestPublishOnlyRoleLearnsWhetherTheStreamIsOurs(t *testing.T) {
	for name, own := range map[string]bool{"AMPY_DEV_ORDERS": true, "AMPY": false} {
		t.Run(name, func(t *testing.T) {
			s := roles(t)
			admin := dial(t, Config{URL: s.URL(), User: "admin", Pass: "x"})
			stream := makeStream(t, admin, jetstream.StreamConfig{Name: name, Subjects: []string{"ampy.dev.orders.>"}})
			tr := dial(t, Config{URL: s.URL(), User: "publisher", Pass: "x", InboxPrefix: "_INBOX_pub"})
			for _, id := range []string{"1", "2"} {
				publishOne(t, tr, id)
			}
			if o := publishOne(t, tr, "2"); o.Duplicate != own {
				t.Errorf("a repeat settled as %+v", o)
			}
			m, err := stream.GetMsg(t.Context(), 1)
			if err != nil || (m.Header.Get("Nats-Msg-Id") != "") != own {
				t.Errorf("stored headers %v, %v", m.Header, err)
			}
		})
	}
}

func TestLargestRecordPasses(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	r := record(testTopic, "01890000-0000-7000-8000-000000000000.dlq.a-group-with-a-long-name.15")
	r.Value = make([]byte, tr.Limits().MaxRecordBytes-len("message_id")-len(r.ID))
	if o := outcomes(t, tr, r)[0]; o.Err != nil {
		t.Errorf("a record of exactly the limit: %v", o.Err)
	}
	r.Value = append(r.Value, 0)
	if o := outcomes(t, tr, r)[0]; !errors.Is(o.Err, driver.ErrTooLarge) {
		t.Errorf("one byte more: %v", o.Err)
	}
}

// An answer that has just come is settled by another goroutine than the one
// that closes.
func TestCloseWaitsForWhatIsBeingSettled(t *testing.T) {
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	topic := "ampy.dev.orders.v1.requests"
	entered, release := make(chan struct{}), make(chan struct{})
	var settled atomic.Int32
	tr.Publish([]driver.Record{record(topic, "1"), record(topic, "2")}, func(i int, _ driver.Outcome) {
		if i == 0 {
			close(entered)
			<-release
		}
		settled.Add(1)
	})
	<-entered
	left := make(chan int32, 1)
	go func() {
		if err := tr.Close(t.Context()); err != nil {
			t.Error(err)
		}
		left <- 2 - settled.Load()
	}()
	pause(t.Context(), 50*time.Millisecond) // all that Close may do meanwhile
	close(release)
	if n := <-left; n != 0 {
		t.Errorf("Close returned with %d of 2 records not settled", n)
	}
}
