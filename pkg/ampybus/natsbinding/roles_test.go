package natsbinding

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/internal/natsserver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// What the roles of docs and templates need, and nothing else. An
// administrator has made the streams, the lease bucket and the durable.
var (
	groupRole = server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"$JS.API.INFO", "$JS.API.STREAM.NAMES",
			"$JS.API.STREAM.INFO.AMPY_DEV_ORDERS", "$JS.API.STREAM.INFO.KV_ampy_leases",
			"$JS.API.CONSUMER.INFO.AMPY_DEV_ORDERS.feat",
			"$JS.API.CONSUMER.MSG.NEXT.AMPY_DEV_ORDERS.feat",
			"$JS.API.CONSUMER.RESET.AMPY_DEV_ORDERS.feat",
			"$JS.ACK.AMPY_DEV_ORDERS.feat.>",
			"$JS.API.DIRECT.GET.KV_ampy_leases.$KV.ampy_leases.feat.>",
			"$KV.ampy_leases.feat.>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_feat.>", "$KV.ampy_leases.feat.>"}},
	}
	readerRole = server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.AMPY_DEV_ORDERS",
			"$JS.API.CONSUMER.CREATE.AMPY_DEV_ORDERS.*.ampy.dev.orders.>",
			"$JS.API.CONSUMER.MSG.NEXT.AMPY_DEV_ORDERS.*",
			"$JS.API.CONSUMER.DELETE.AMPY_DEV_ORDERS.*",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_read.>"}},
	}
)

func TestRolesNeedOnlyTheirOwnSubjects(t *testing.T) {
	s := brokertest.Start(t, func(c *natsserver.Config) {
		c.Tune = func(o *server.Options) {
			o.Users = []*server.User{
				{Username: "admin", Password: "x"},
				{Username: "feat", Password: "x", Permissions: &groupRole},
				{Username: "read", Password: "x", Permissions: &readerRole},
			}
		}
	})
	admin := dial(t, Config{URL: s.URL(), User: "admin", Pass: "x"})
	publishNumbers(t, admin, testTopic, 0, 10)
	publishNumbers(t, admin, "ampy.dev.fills.v1.A", 0, 1)
	join(t, admin, driver.GroupConfig{Group: "feat", Pattern: "ampy.dev.orders.>"}).close()

	t.Run("group", func(t *testing.T) {
		tr := dial(t, Config{URL: s.URL(), User: "feat", Pass: "x", InboxPrefix: "_INBOX_feat"})
		m := join(t, tr, driver.GroupConfig{Group: "feat", Pattern: "ampy.dev.orders.>"})
		m.expect(driver.Assigned)
		ev, _ := m.takes(10)
		m.commits(ev, 6)
		m.close()
		m = join(t, tr, driver.GroupConfig{Group: "feat", Pattern: "ampy.dev.orders.>"})
		m.expect(driver.Assigned)
		if _, vs := m.takes(5); vs[0] != "5" {
			t.Errorf("resumed with %v", vs)
		}
		if o := outcomes(t, tr, record(testTopic, "x"))[0]; !errors.Is(o.Err, driver.ErrPermission) {
			t.Errorf("a consumer published: %+v", o)
		}
		if _, err := tr.Open(t.Context(), driver.GroupConfig{Group: "other", Pattern: "ampy.dev.orders.>"}); !errors.Is(err, driver.ErrPermission) {
			t.Errorf("another group: %v", err)
		}
	})
	t.Run("reader", func(t *testing.T) {
		began := time.Now()
		tr := dial(t, Config{URL: s.URL(), User: "read", Pass: "x", InboxPrefix: "_INBOX_read"})
		if held := history(t, tr, "ampy.dev.orders.>"); len(held) != 10 {
			t.Errorf("read %d records", len(held))
		}
		if _, err := tr.Read(t.Context(), driver.ReadConfig{Pattern: "ampy.dev.fills.>"}); !errors.Is(err, driver.ErrPermission) {
			t.Errorf("another domain: %v", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("refusals took %v", took)
		}
	})
}
