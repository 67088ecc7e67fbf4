package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// A call that runs out of time before its record was sent must not take records
// of others with it: the client gives up all that it holds for a partition.
func TestLateCallFailsNoOther(t *testing.T) {
	b := startBroker(t, Config{})
	c := b.config()
	c.AckTimeout, c.Linger = time.Second, 1500*time.Millisecond
	tr, err := Dial(c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close(t.Context())
	if err := tr.ensureTopic(t.Context(), "ampy.dev.orders.v1"); err != nil {
		t.Fatal(err)
	}
	early, late := make(chan driver.Outcome, 1), make(chan driver.Outcome, 1)
	tr.Publish(numbered("a", 0, 1), func(_ int, o driver.Outcome) { early <- o })
	pause(t.Context(), c.Linger/2)
	tr.Publish(numbered("b", 0, 1), func(_ int, o driver.Outcome) { late <- o })
	if o := <-early; !errors.Is(o.Err, driver.ErrUncertain) {
		t.Errorf("the call that ran out of time settled with %v, want %v", o.Err, driver.ErrUncertain)
	}
	if o := <-late; o.Err != nil {
		t.Errorf("the other call settled with %v", o.Err)
	}
	if o := attempt(tr, numbered("a", 0, 1))[0]; !o.Duplicate {
		t.Errorf("the repeat of what came late settled with %+v, want a duplicate", o)
	}
}

// I11: what is published through faults of the cluster is stored once, in order.
func TestProduceFaultsLoseAndRepeatNothing(t *testing.T) {
	const keys, calls, each = 100, 20, 10
	srv := startEmbedded(t)
	b := newBroker(srv, Config{Partitions: 6})
	tr := b.Connect(t)
	defer tr.Close(t.Context())
	attempt(tr, numbered("warm", 0, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	var repeats atomic.Int64
	var writers sync.WaitGroup
	for k := range keys {
		writers.Go(func() {
			for c := range calls {
				_, n, err := persist(ctx, tr, numbered(fmt.Sprintf("k%d", k), c*each, each))
				repeats.Add(int64(n))
				if err != nil {
					t.Errorf("key k%d: %v", k, err)
					return
				}
				pause(ctx, 50*time.Millisecond) // faults fall between calls too
			}
		})
	}
	written := make(chan struct{})
	go func() {
		writers.Wait()
		close(written)
	}()
	hits, shuffles, lost := disturbProducing(ctx, b, tr, srv, written)
	<-written
	for i, n := range hits {
		if n < 20 {
			t.Errorf("fault %d happened %d times, at least 20 are needed", i, n)
		}
	}
	if shuffles < 50 || lost < 20 {
		t.Errorf("%d shuffles of leaders, %d lost acknowledgements; 50 and 20 are needed", shuffles, lost)
	}
	next := make(map[string]int)
	for _, d := range historyOf(t, b, "ampy.dev.orders.v1.>") {
		key, n := split(string(d.Value))
		if d.Key != key || d.ID != string(d.Value) {
			t.Errorf("%s is stored with key %s and id %s", d.Value, d.Key, d.ID)
		}
		if n != next[key] {
			t.Errorf("key %s: %d is stored where %d was due", key, n, next[key])
		}
		next[key] = n + 1
	}
	for k := range keys {
		if n := next[fmt.Sprintf("k%d", k)]; n != calls*each {
			t.Errorf("key k%d has %d records, want %d", k, n, calls*each)
		}
	}
}

// disturbProducing injects faults until enough of each have happened, and goes
// on as long as there is something to disturb.
func disturbProducing(ctx context.Context, b *broker, tr driver.Transport, srv *embedded, written <-chan struct{}) (hits []int64, shuffles, lost int) {
	cluster := srv.srv.Native()
	var handles []*kfake.FaultHandle
	for _, err := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.KafkaStorageError,
	} {
		handles = append(handles, cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: 20}))
	}
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-written:
			for _, h := range handles {
				hits = append(hits, int64(h.Hits()))
			}
			return hits, shuffles, lost
		case <-ctx.Done():
			return hits, shuffles, lost
		}
		if shuffles < 60 {
			cluster.ShufflePartitionLeaders()
			shuffles++
		}
		if n%3 == 0 && lost < 25 {
			p := b.proxy(tr)
			p.CutReplies() // what arrives now is stored, and nobody hears of it
			pause(ctx, 10*time.Millisecond)
			p.Reset()
			p.Heal()
			lost++
		}
	}
}

// historyOf reads all that is held.
func historyOf(t *testing.T, b *broker, pattern string) []driver.Delivery {
	t.Helper()
	r, err := b.plain(t).Read(t.Context(), driver.ReadConfig{Pattern: pattern})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []driver.Delivery
	for {
		ds, err := r.Next(t.Context())
		if err != nil {
			return all
		}
		all = append(all, ds...)
	}
}

// A call expires before its records are handed to the client or behind that,
// never in between: the repeat that follows would hand them over beside it, and
// a later record could come first.
func TestACallDoesNotExpireWhileItIsHandedOver(t *testing.T) {
	b := startBroker(t, Config{})
	c := b.config()
	c.AckTimeout = 20 * time.Millisecond
	tr, err := Dial(c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close(t.Context())
	settled := make(chan driver.Outcome, 2)
	p := &publication{t: tr, recs: numbered("k", 0, 2), settle: func(_ int, o driver.Outcome) { settled <- o }, sent: 1}
	p.handing.Lock() // it has come to the second record, and pauses
	if !tr.open.add(p) {
		t.Fatal("the transport is closed")
	}
	pause(t.Context(), 10*c.AckTimeout)
	select {
	case o := <-settled:
		t.Errorf("it settled with %+v meanwhile", o)
	default:
	}
	p.sent = 2
	p.handing.Unlock()
	for range 2 {
		if o := <-settled; !errors.Is(o.Err, driver.ErrUncertain) {
			t.Errorf("it settled with %v, want %v", o.Err, driver.ErrUncertain)
		}
	}
}

// A proxy in front of brokers that are starting accepts connections and ends
// them. What is under way waits for that to end.
func TestConnectionsThatEndAtOnceFailNothing(t *testing.T) {
	srv := startEmbedded(t)
	b := newBroker(srv, Config{Partitions: 6})
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dead.Close() })
	var ended, down atomic.Int64
	go func() {
		for c, err := dead.Accept(); err == nil; c, err = dead.Accept() {
			go func() { // some never say anything
				_, _ = c.Read(make([]byte, 1<<10)) // unread it would make the end a reset
				_ = c.Close()
				ended.Add(1)
			}()
		}
	}()
	p := brokertest.StartProxy(t, srv.Addr())
	c := b.config()
	c.AckTimeout = time.Minute
	c.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		addr := strings.TrimPrefix(p.URL(), "nats://")
		if down.Load() > 0 {
			addr = dead.Addr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	tr, err := Dial(c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close(t.Context())
	attempt(tr, numbered("warm", 0, 1))
	more := func(n int64, meanwhile func()) {
		for before := ended.Load(); ended.Load() < before+n; {
			meanwhile()
			pause(t.Context(), 10*time.Millisecond)
		}
	}
	for round := range 24 {
		down.Store(1)
		// The client then knows: what comes now was never on its way. A connection
		// that it was making may reach the proxy late.
		more(5, p.Reset)
		outcomes := make(chan driver.Outcome, 100)
		for k := range 10 {
			tr.Publish(numbered(fmt.Sprintf("k%d", k), round*10, 10), func(_ int, o driver.Outcome) { outcomes <- o })
		}
		more(10, func() {})
		down.Store(0)
		for range cap(outcomes) {
			if o := <-outcomes; o.Err != nil || o.Duplicate {
				t.Fatalf("round %d: an attempt ended with %+v", round, o)
			}
		}
	}
}
