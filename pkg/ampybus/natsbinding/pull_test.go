package natsbinding

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// More than one pull open at a time would bring more than was asked for: what
// bounds memory, and keeps the server from cutting a slow member off.
func TestOnePullIsOpenAtATime(t *testing.T) {
	const n, call = 5 * lanePull, 1024
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	for i := 0; i < n; i += call {
		publishNumbers(t, tr, testTopic, i, call)
	}
	// Everything on one channel, so that requests and records are seen in the
	// order in which the server had them.
	seen := make(chan *nats.Msg, 4*n)
	for _, subject := range []string{"$JS.API.CONSUMER.MSG.NEXT.AMPY_DEV_ORDERS.g", nats.InboxPrefix + ">"} {
		sub, err := tr.nc.ChanSubscribe(subject, seen)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Unsubscribe() })
	}
	c := driver.GroupConfig{Pattern: "ampy.dev.orders.>", MaxSpan: 10 * n}
	c.Lease = time.Minute // a busy machine is no reason to lose lanes
	m := join(t, tr, c)
	m.expect(driver.Assigned)
	for got := 0; got < n; {
		ev, vs := m.takes(1)
		got += len(vs)
		m.commits(ev, ev.Records[len(ev.Records)-1].Pos+1)
	}
	m.close()
	if pulls := pullsOneByOne(t, seen); pulls < n/lanePull {
		t.Errorf("%d pulls brought %d records", pulls, n)
	}
}

// pullsOneByOne counts the pulls among what was seen, and expects each to be
// spent, or ended by the server, before the same puller asks again.
func pullsOneByOne(t *testing.T, seen <-chan *nats.Msg) (pulls int) {
	t.Helper()
	inbox, open := "", int64(0) // of the last pull: records that may still come
	for len(seen) > 0 {
		m := <-seen
		_, record := foldedBytes(m.Reply)
		switch {
		case strings.HasPrefix(m.Subject, "$JS.API.CONSUMER.MSG.NEXT."):
			var pull struct{ Batch int64 }
			if err := json.Unmarshal(m.Data, &pull); err != nil || pull.Batch <= 0 {
				t.Fatalf("a pull asks with %s: %v", m.Data, err)
			}
			if m.Reply == inbox && open > 0 {
				t.Fatalf("a pull for %d records while %d may still come", pull.Batch, open)
			}
			inbox, open = m.Reply, pull.Batch
			pulls++
		case record:
			open--
		case m.Subject == inbox && m.Header.Get("Status") != "100" && !strings.Contains(m.Header.Get("Description"), "Batch Completed"):
			open = 0
		}
	}
	return pulls
}

// A server that has more for a client under way than it keeps cuts the client
// off, and all its lanes begin again: so lanes share what a connection may ask for.
func TestPullsOfManyLanesShareABudget(t *testing.T) {
	const shares, n, size = 16, 200, 100 << 10
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	publish := func(i int) {
		if o := outcomes(t, tr, driver.Record{Topic: testTopic, Value: append(make([]byte, size), strconv.Itoa(i)...)})[0]; o.Err != nil {
			t.Error(o.Err)
		}
	}
	publish(0)
	var mu sync.Mutex
	last, asked := make(map[string]int), 0
	sub, err := tr.nc.Subscribe("$JS.API.CONSUMER.MSG.NEXT.AMPY_DEV_ORDERS.*", func(m *nats.Msg) {
		var pull struct {
			Max int `json:"max_bytes"`
		}
		if err := json.Unmarshal(m.Data, &pull); err != nil {
			t.Errorf("a pull asks with %s", m.Data)
		}
		mu.Lock()
		defer mu.Unlock()
		last[m.Subject] = pull.Max
		asked++
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	c := shared(shares)
	c.Lease = time.Minute // a busy machine is no reason to lose lanes
	m := join(t, tr, c)
	// All lanes are open before there is something to pull, so that each has
	// pulled again when it has read the log, which is all shares' in common.
	for open, got := 0, 0; got < n; {
		switch ev := m.next(); ev.Kind {
		case driver.Assigned:
			if open++; open == shares {
				go func() {
					for i := 1; i < n; i++ {
						publish(i)
					}
				}()
			}
		case driver.Records:
			got += len(ev.Records)
			m.commits(ev, ev.Records[len(ev.Records)-1].Pos+1)
		default:
		}
	}
	m.close()
	mu.Lock()
	defer mu.Unlock()
	sum := 0
	for _, bytes := range last {
		sum += bytes
	}
	if len(last) != shares || asked < 2*shares || sum > pullBudget {
		t.Errorf("%d lanes asked for %d bytes at a time in the end, in %d pulls: want at most %d", len(last), sum, asked, pullBudget)
	}
}

// What was taken is still in memory while its receiver is slow: until it is
// handed over it counts against the limit, so that no more is asked for.
func TestTakenRecordsCountUntilTheyAreHandedOver(t *testing.T) {
	p := &puller{t: &Transport{}, c: pullConfig{wake: make(chan struct{}, 1)}, asked: 1, room: 10}
	p.receive(&nats.Msg{Subject: "s", Reply: "$JS.ACK.S.g.1.1.1.1722345678901234567.0", Data: make([]byte, maxPullBytes)})
	if as, err := p.take(); err != nil || len(as.records) != 1 {
		t.Fatalf("took %d records, %v", len(as.records), err)
	}
	if p.allow(10); p.asked != 0 {
		t.Error("more is asked for while as much as is allowed is held")
	}
	if p.handed(); p.size != 0 {
		t.Errorf("%d bytes are counted of what was handed over", p.size)
	}
}

func TestEventsAreBoundedInRecordsAndBytes(t *testing.T) {
	for _, c := range []struct{ records, bytes, want int }{
		{1, 2 * eventBytes, 1},
		{3, eventBytes/2 - 100, 2},
		{eventRecords + 1, 1, eventRecords},
		{7, 1, 7},
	} {
		ds := make([]driver.Delivery, c.records)
		for i := range ds {
			ds[i].Value = make([]byte, c.bytes)
		}
		if n := eventSize(ds); n != c.want {
			t.Errorf("%d records of %d bytes: %d make an event, want %d", c.records, c.bytes, n, c.want)
		}
	}
}
