package membinding_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

func TestRefuseIsPerPatternAndEnds(t *testing.T) {
	b := membinding.New(membinding.Config{})
	tr := client(t, b)
	restore := b.Refuse("ampy.*.orders.>", driver.ErrPermission)
	if o := publish(t, tr, record(orders, "a", "a")); !errors.Is(o.Err, driver.ErrPermission) {
		t.Errorf("refused with %v, want %v", o.Err, driver.ErrPermission)
	}
	if o := publish(t, tr, record(fills, "b", "b")); o.Err != nil {
		t.Errorf("another topic: %v", o.Err)
	}
	restore()
	restore() // once is enough
	if o := publish(t, tr, record(orders, "a", "a")); o.Err != nil || o.Duplicate {
		t.Errorf("after the fault: %+v, want stored for the first time", o)
	}
}

func TestFaultsAddUp(t *testing.T) {
	b := membinding.New(membinding.Config{})
	tr := client(t, b)
	back, heal := b.Outage(), tr.Cut()
	back()
	if o := publish(t, tr, record(orders, "a", "a")); !errors.Is(o.Err, driver.ErrUnavailable) {
		t.Errorf("a client that is cut off still: %v, want %v", o.Err, driver.ErrUnavailable)
	}
	if _, err := tr.Lanes(t.Context(), "", allDev); !errors.Is(err, driver.ErrUnreachable) {
		t.Errorf("Lanes: %v, want %v", err, driver.ErrUnreachable)
	}
	heal()
	if o := publish(t, tr, record(orders, "a", "a")); o.Err != nil {
		t.Errorf("after both faults: %v", o.Err)
	}
}

func TestLostAckSettlesAfterItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := client(t, membinding.New(membinding.Config{AckTimeout: 3 * time.Second}))
		restore := tr.LoseAcks()
		began := time.Now()
		if o := publish(t, tr, record(orders, "a", "a")); !errors.Is(o.Err, driver.ErrUncertain) {
			t.Errorf("settled with %v, want %v", o.Err, driver.ErrUncertain)
		}
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("settled after %v, want 3s", waited)
		}
		restore()
		if o := publish(t, tr, record(orders, "a", "a")); !o.Duplicate {
			t.Errorf("the repeat settled with %+v, want a duplicate", o)
		}
	})
}

func TestLaneComesBackAtTheSameEpochWithinItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := client(t, membinding.New(membinding.Config{}))
		publish(t, tr, record(orders, "a", "a"))
		src := open(t, tr, "m")
		first, recs := next(t, src), next(t, src)
		heal := tr.Cut()
		time.Sleep(driver.DefaultLease - time.Second)
		heal()
		if ev := next(t, src); ev.Kind != driver.Trouble {
			t.Errorf("then came %+v, want Trouble", ev)
		}
		if ev := next(t, src); ev.Kind != driver.Assigned || ev.Epoch != first.Epoch || ev.From != recs.Records[0].Pos {
			t.Errorf("then came %+v, want Assigned again at epoch %d", ev, first.Epoch)
		}
		if ev := next(t, src); ev.Kind != driver.Records || ev.Records[0].Deliveries != 2 {
			t.Errorf("then came %+v, want the record for the second time", ev)
		}
	})
}

func TestTruncateOfNoLogFails(t *testing.T) {
	if err := membinding.New(membinding.Config{}).Truncate("ampy.dev.orders", 5); !errors.Is(err, driver.ErrNoLog) {
		t.Errorf("truncate: %v, want %v", err, driver.ErrNoLog)
	}
}
