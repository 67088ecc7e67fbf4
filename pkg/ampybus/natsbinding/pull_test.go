package natsbinding

import (
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// More than one pull open at a time would bring more than was asked for: what
// bounds memory, and keeps the server from cutting a slow member off.
func TestOnePullIsOpenAtATime(t *testing.T) {
	const n = 5 * lanePull
	s := brokertest.Start(t)
	tr := dial(t, Config{URL: s.URL()})
	publishNumbers(t, tr, testTopic, 0, n)
	var asked atomic.Int64
	sub, err := tr.nc.Subscribe("$JS.API.CONSUMER.MSG.NEXT.AMPY_DEV_ORDERS.g", func(m *nats.Msg) {
		var pull struct{ Batch int64 }
		if err := json.Unmarshal(m.Data, &pull); err != nil {
			t.Errorf("a pull asks with %s", m.Data)
		}
		asked.Add(pull.Batch)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	m := join(t, tr, driver.GroupConfig{Pattern: "ampy.dev.orders.>", MaxSpan: 10 * n})
	m.expect(driver.Assigned)
	for got := 0; got < n; {
		ev, vs := m.takes(1)
		got += len(vs)
		m.commits(ev, ev.Records[len(ev.Records)-1].Pos+1)
	}
	m.close()
	if total := asked.Load(); total < n || total > n+lanePull {
		t.Errorf("%d records were asked for, where %d came: %d more than one pull", total, n, total-n-lanePull)
	}
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
