package membinding_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

func open(t *testing.T, tr driver.Transport, member string) driver.Source {
	t.Helper()
	src, err := tr.Open(t.Context(), driver.GroupConfig{Group: "g", Pattern: allDev, Member: member})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func next(t *testing.T, src driver.Source) driver.Event {
	t.Helper()
	select {
	case ev, ok := <-src.Events():
		if !ok {
			t.Fatalf("the source has ended: %v", src.Err())
		}
		return ev
	case <-time.After(timeout):
		t.Fatal("no event")
		return driver.Event{}
	}
}

// quiet expects that nothing more happens without time going by.
func quiet(t *testing.T, src driver.Source) {
	t.Helper()
	synctest.Wait()
	select {
	case ev := <-src.Events():
		t.Errorf("unexpected event %+v", ev)
	default:
	}
}

// twoLanes returns a member that owns two lanes, and the broker.
func twoLanes(t *testing.T) (*membinding.Broker, driver.Source) {
	b := membinding.New(membinding.Config{})
	tr := client(t, b)
	publish(t, tr, record(orders, "a", "a"))
	publish(t, tr, record(fills, "b", "b"))
	src := open(t, tr, "first")
	for range 4 { // two Assigned, two Records
		next(t, src)
	}
	return b, src
}

func TestJoinerGetsAShareWhenItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, first := twoLanes(t)
		second := open(t, client(t, b), "second")
		draining := next(t, first)
		if draining.Kind != driver.Draining {
			t.Fatalf("the owner of two lanes got %+v, want Draining", draining)
		}
		quiet(t, second)
		if err := first.Commit(t.Context(), draining.Lane, draining.Epoch, 2); err != nil {
			t.Errorf("commit while draining: %v", err)
		}
		draining.Done()
		draining.Done() // once is enough
		if ev := next(t, second); ev.Kind != driver.Assigned || ev.Lane != draining.Lane || ev.Epoch <= draining.Epoch || ev.From != 2 {
			t.Errorf("the joiner got %+v, want %s from position 2", ev, draining.Lane)
		}
		quiet(t, first)
		if err := first.Commit(t.Context(), draining.Lane, draining.Epoch, 2); !errors.Is(err, driver.ErrFenced) {
			t.Errorf("commit after Done: %v, want %v", err, driver.ErrFenced)
		}
	})
}

func TestDrainingIsBoundedByTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, first := twoLanes(t)
		second := open(t, client(t, b), "second")
		draining := next(t, first)
		began := time.Now()
		if ev := next(t, first); ev.Kind != driver.Lost || ev.Lane != draining.Lane {
			t.Errorf("an owner that does not call Done got %+v, want Lost", ev)
		}
		if waited := time.Since(began); waited != driver.DefaultLease {
			t.Errorf("the lane was taken away after %v, want %v", waited, driver.DefaultLease)
		}
		if ev := next(t, second); ev.Kind != driver.Assigned || ev.Lane != draining.Lane {
			t.Errorf("the joiner got %+v, want %s", ev, draining.Lane)
		}
		draining.Done()
		quiet(t, first)
	})
}

func TestMembersAgreeOnThePattern(t *testing.T) {
	b := membinding.New(membinding.Config{})
	tr := client(t, b)
	src := open(t, tr, "first")
	other := driver.GroupConfig{Group: "g", Pattern: "ampy.prod.>"}
	if _, err := tr.Open(t.Context(), other); !errors.Is(err, driver.ErrConfig) {
		t.Errorf("a member with another pattern: %v, want %v", err, driver.ErrConfig)
	}
	if err := src.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	again, err := tr.Open(t.Context(), other)
	if err != nil {
		t.Fatalf("a pattern for a group without members: %v", err)
	}
	if err := again.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestCommitBehindTheEndIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := client(t, membinding.New(membinding.Config{}))
		publish(t, tr, record(orders, "a", "a"))
		src := open(t, tr, "m")
		ev := next(t, src)
		if err := src.Commit(t.Context(), ev.Lane, ev.Epoch, 3); !errors.Is(err, driver.ErrConfig) {
			t.Errorf("commit below 3 of a log that ends at 2: %v, want %v", err, driver.ErrConfig)
		}
	})
}

func TestCloseOfACutMemberSaysThatLanesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, first := twoLanes(t)
		waiting := client(t, b)
		restore := b.Outage()
		if err := first.Close(t.Context()); !errors.Is(err, driver.ErrUnreachable) {
			t.Errorf("close: %v, want %v", err, driver.ErrUnreachable)
		}
		restore()
		second := open(t, waiting, "second")
		quiet(t, second)
		began := time.Now()
		src := next(t, second)
		if waited := time.Since(began); src.Kind != driver.Assigned || waited != driver.DefaultLease {
			t.Errorf("after %v came %+v, want Assigned after the lease", waited, src)
		}
	})
}
