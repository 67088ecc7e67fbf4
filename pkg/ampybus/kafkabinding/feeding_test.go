package kafkabinding

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// TestFetchingGoesOnWhereItHelps: what is polled comes for all lanes, so a lane
// that needs more is weighed against those that hold plenty.
func TestFetchingGoesOnWhereItHelps(t *testing.T) {
	plenty := backlog{steps: []step{{}}, waiting: load{records: aheadRecords}}
	little := backlog{steps: []step{{}}, waiting: load{records: 1}}
	now, before := time.Now(), time.Now().Add(-2*idlePatience)
	for _, c := range []struct {
		name   string
		lanes  []lane
		polled time.Time
		want   bool
	}{
		{"all hold little", []lane{{ahead: little}, {ahead: little}}, now, true},
		{"one holds plenty", []lane{{ahead: plenty}, {ahead: little}}, now, false},
		{"one has nothing and more in its log", []lane{{ahead: plenty}, {}}, now, true},
		{"one is at its end", []lane{{ahead: plenty}, {caughtUp: true}}, now, false},
		{"one was at its end a while ago", []lane{{ahead: plenty}, {caughtUp: true}}, before, true},
		{"one is at its end and the other must wait", []lane{{ahead: plenty, paused: true}, {caughtUp: true}}, now, false},
		{"one is at its end and the other gets no more", []lane{{ahead: plenty, held: true}, {caughtUp: true}}, now, true},
		{"one that must wait has nothing", []lane{{ahead: plenty}, {paused: true}}, before, false},
	} {
		s := &source{lanes: make(map[place]*lane), polled: c.polled}
		for i := range c.lanes {
			s.lanes[place{partition: int32(i)}] = &c.lanes[i]
		}
		if got := s.hungry(); got != c.want {
			t.Errorf("%s: hungry %v, want %v", c.name, got, c.want)
		}
	}
}

// asked is what a fetch asks for of a partition.
type asked struct {
	partition int32
	offset    int64
}

// endlessFetches makes the broker hold a fetch back for an hour where there is
// nothing, and tells what each asks for.
func endlessFetches(srv *embedded) <-chan asked {
	all := make(chan asked, 1000)
	srv.srv.Native().ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		f := r.(*kmsg.FetchRequest)
		f.MaxWaitMillis = int32(time.Hour / time.Millisecond)
		for _, topic := range f.Topics {
			for _, p := range topic.Partitions {
				all <- asked{p.Partition, p.FetchOffset}
			}
		}
		return nil, nil, false
	})
	return all
}

// twoPlaces are partitions of one topic with a key for each; each holds one
// record.
func twoPlaces(t *testing.T, tr driver.Transport) (ps [2]place, keys [2]string) {
	t.Helper()
	found := make(map[int]string)
	for i := 0; len(found) < 2; i++ {
		key := fmt.Sprintf("k%d", i)
		found[kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: []byte(key)}, 2)] = key
	}
	for i := range ps {
		keys[i] = found[i]
		o := attempt(tr, numbered(keys[i], 0, 1))[0]
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		topic, partition := parseLog(o.Log)
		ps[i] = place{topic, partition}
	}
	return ps, keys
}

// awaitFetch returns when the broker has been asked for a position.
func awaitFetch(t *testing.T, all <-chan asked, p place, offset int64) {
	t.Helper()
	patience := time.After(testPatience())
	for {
		select {
		case a := <-all:
			if a == (asked{p.partition, offset}) {
				return
			}
		case <-patience:
			t.Fatalf("nobody asks for %s from %d on", p.log(), offset)
		}
	}
}

// TestAResumedPartitionDoesNotWaitForOthers: the client sends one fetch at a
// time to a broker, which holds that of a partition at its end back.
func TestAResumedPartitionDoesNotWaitForOthers(t *testing.T) {
	srv := startEmbedded(t)
	b := newBroker(srv, Config{Partitions: 2})
	tr := b.Connect(t)
	defer tr.Close(t.Context())
	ps, keys := twoPlaces(t, tr)
	fd, poll := openFeed(t, b)
	all := endlessFetches(srv)

	fd.start(ps[0], 0)
	fd.start(ps[1], 0)
	for n := 0; n < 2; {
		got := len(poll())
		if n += got; got == 0 {
			t.Fatalf("%d records, want 2", n)
		}
	}
	awaitFetch(t, all, ps[1], 1)
	fd.pause(ps[0])
	stored(t, tr, numbered(keys[1], 1, 1))
	if rs := poll(); len(rs) != 1 || rs[0].Partition != ps[1].partition {
		t.Fatalf("%d records, want one of %s", len(rs), ps[1].log())
	}
	awaitFetch(t, all, ps[1], 2) // which now waits for an hour
	stored(t, tr, numbered(keys[0], 1, 1))

	fd.resume(ps[0], 1, true)
	if rs := poll(); len(rs) != 1 || rs[0].Partition != ps[0].partition || rs[0].Offset != 1 {
		t.Errorf("%d records, want the one at 1 of %s", len(rs), ps[0].log())
	}
}

// TestALaneAtItsEndIsSeenBesideABacklog: a lane whose records nobody takes, with
// more of them than are fetched ahead, does not hide what comes for another.
func TestALaneAtItsEndIsSeenBesideABacklog(t *testing.T) {
	b := newBroker(startEmbedded(t), Config{Partitions: 2})
	tr := b.Connect(t)
	defer tr.Close(t.Context())
	ps, keys := twoPlaces(t, tr)
	for i := range 5 * aheadRecords / 1000 {
		stored(t, tr, numbered(keys[0], 1+i*1000, 1000))
	}
	src, err := tr.Open(t.Context(), driver.GroupConfig{Group: "g", Pattern: "ampy.dev.>", Lease: testLease})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), testPatience())
	defer cancel()
	lanes := make(map[string]bool)
	for want := uint64(1); want <= 2; {
		select {
		case ev := <-src.Events():
			if ev.Kind != driver.Records {
				continue
			}
			if ev.Lane == ps[0].log() {
				src.Pause(ev.Lane, true)
			}
			if lanes[ev.Lane] = true; ev.Lane == ps[1].log() && ev.Records[0].Pos == want-1 {
				want++
			}
			if len(lanes) == 2 && want == 2 {
				stored(t, tr, numbered(keys[1], 1, 1))
			}
		case <-ctx.Done():
			t.Fatalf("%s has brought %d records beside the backlog of %s, want 2", ps[1].log(), want-1, ps[0].log())
		}
	}
}

// TestWhatUnpacksToMuchIsFetchedInSmallPieces: the memory of a member does not
// depend on how well its messages are compressed.
func TestWhatUnpacksToMuchIsFetchedInSmallPieces(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload func() byte
		swells  int32 // so many times at least
	}{
		{"compressible", func() byte { return 0 }, 10},
		{"not compressible", func() byte { return byte(rand.Uint32()) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := asksForBehind(t, c.payload)
			if most := fetchRoom / c.swells; got > most {
				t.Errorf("a fetch asks for %d bytes, want at most %d", got, most)
			}
			if least := fetchRoom / max(c.swells, usualSwell) / 10; got < least {
				t.Errorf("a fetch asks for %d bytes, want at least %d", got, least)
			}
		})
	}
}

// asksForBehind is how many bytes a feed asks for that has read 10 MB of such
// payloads.
func asksForBehind(t *testing.T, payload func() byte) int32 {
	t.Helper()
	srv := startEmbedded(t)
	b := newBroker(srv, Config{Partitions: 1})
	tr := b.Connect(t)
	defer tr.Close(t.Context())
	recs := numbered("k", 0, 100)
	for i := range recs {
		recs[i].Value = make([]byte, 100<<10)
		for j := range recs[i].Value {
			recs[i].Value[j] = payload()
		}
	}
	stored(t, tr, recs)
	fd, poll := openFeed(t, b)
	if fetch, _ := fd.swell.limits(); fetch*usualSwell != fetchRoom {
		t.Errorf("the first fetch asks for %d bytes, want %d", fetch, fetchRoom/usualSwell)
	}
	fd.start(place{"ampy.dev.orders.v1", 0}, 0)
	for next := int64(0); next < int64(len(recs)); {
		got := poll()
		if len(got) == 0 {
			t.Fatalf("nothing is read from %d on", next)
		}
		next = got[len(got)-1].Offset + 1
	}
	asks := make(chan int32, 1)
	srv.srv.Native().ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case asks <- r.(*kmsg.FetchRequest).MaxBytes:
		default:
		}
		return nil, nil, false
	})
	stored(t, tr, numbered("k", 100, 1))
	poll()
	return <-asks
}

// stored publishes records, all of which are stored.
func stored(t *testing.T, tr driver.Transport, recs []driver.Record) {
	t.Helper()
	for _, o := range attempt(tr, recs) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
}

// openFeed returns a feed, and what polls it once: no records when that takes too
// long.
func openFeed(t *testing.T, b *broker) (fd *feed, poll func() []*kgo.Record) {
	t.Helper()
	fd, err := newFeed(b.plain(t).cfg, b.plain(t).packer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fd.close)
	return fd, func() []*kgo.Record {
		// Sooner than the client gives up a fetch that waits.
		ctx, cancel := context.WithTimeout(t.Context(), requestOverhead-time.Second)
		defer cancel()
		return fd.poll(ctx, func() bool { return true }).Records()
	}
}
