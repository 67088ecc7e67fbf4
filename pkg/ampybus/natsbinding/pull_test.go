package natsbinding

import (
	"encoding/json"
	"sync/atomic"
	"testing"

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
