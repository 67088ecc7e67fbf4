package drivertest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

func refusalPromises() []Promise {
	return []Promise{
		{
			"LaterRecordsAreNotStoredAfterAFailure",
			"After a record that is refused, the later records of the call are not stored and settle as unavailable.",
			laterRecordsAreNotStoredAfterAFailure,
		},
		{
			"LargeRecordRefusedBeforeTheNetwork",
			"A record over the broker's limit settles with ErrTooLarge, even where no broker can be reached.",
			largeRecordRefusedBeforeTheNetwork,
		},
		{
			"LargeRecordsWithinTheLimitPass",
			"A record of half the limit and more is stored and delivered whole.",
			largeRecordsWithinTheLimitPass,
		},
		{
			"ClosedTransportRefuses",
			"After Close, every call fails with ErrClosed and nothing is stored.",
			closedTransportRefuses,
		},
		{
			"ImpossibleConfigurationsAreRefused",
			"What cannot work is refused with ErrConfig before anything is created: a malformed pattern, a group without a name, logs divided without a key, a reader that follows to an end.",
			impossibleConfigurationsAreRefused,
		},
	}
}

// tooLarge is a record one byte over the limit of tr.
func (e *env) tooLarge(tr driver.Transport, key string, n int) driver.Record {
	e.Helper()
	limit := tr.Limits().MaxRecordBytes
	if limit <= 0 {
		e.Fatal("Limits does not report MaxRecordBytes")
	}
	rec := records(ordersA, key, n, 1)[0]
	rec.Headers = nil
	rec.Value = make([]byte, limit+1)
	return rec
}

func laterRecordsAreNotStoredAfterAFailure(e *env) {
	tr := e.connect()
	recs := records(ordersA, "k", 0, 5)
	recs[2] = e.tooLarge(tr, "k", 2)
	out := e.try(tr, recs)
	for i, want := range []error{nil, nil, driver.ErrTooLarge, driver.ErrUnavailable, driver.ErrUnavailable} {
		if !errors.Is(out[i].Err, want) {
			e.Errorf("record %d settled with %v, want %v", i, out[i].Err, want)
		}
	}
	if got, want := values(e.history(tr, allOrders)), names("k", 0, 2); !slices.Equal(got, want) {
		e.Fatalf("held: %v, want %v", got, want)
	}
}

func largeRecordRefusedBeforeTheNetwork(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 1))
	heal := e.broker.Cut(e.T, tr)
	out := e.try(tr, []driver.Record{e.tooLarge(tr, "k", 1)})
	heal()
	if !errors.Is(out[0].Err, driver.ErrTooLarge) {
		e.Fatalf("a record over the limit settled with %v, want %v", out[0].Err, driver.ErrTooLarge)
	}
}

func largeRecordsWithinTheLimitPass(e *env) {
	tr := e.connect()
	rec := e.tooLarge(tr, "k", 0)
	rec.Value = rec.Value[:len(rec.Value)*3/4]
	for i := range rec.Value {
		rec.Value[i] = byte(i * i >> 3)
	}
	e.publish(tr, []driver.Record{rec})
	held := e.history(tr, allOrders)
	if len(held) != 1 || !slices.Equal(held[0].Value, rec.Value) {
		e.Fatalf("a record of %d bytes did not come back whole", len(rec.Value))
	}
}

func closedTransportRefuses(e *env) {
	tr := e.connect()
	e.publish(tr, records(ordersA, "k", 0, 1))
	if err := tr.Close(e.ctx()); err != nil {
		e.Fatalf("close: %v", err)
	}
	for _, o := range e.try(tr, records(ordersA, "k", 1, 2)) {
		if !errors.Is(o.Err, driver.ErrClosed) {
			e.Errorf("publish after Close settled with %v", o.Err)
		}
	}
	calls := map[string]func(ctx context.Context) error{
		"Open": func(ctx context.Context) error {
			_, err := tr.Open(ctx, group("g", "m", allOrders))
			return err
		},
		"Read": func(ctx context.Context) error {
			_, err := tr.Read(ctx, driver.ReadConfig{Pattern: allOrders})
			return err
		},
		"Lanes": func(ctx context.Context) error {
			_, err := tr.Lanes(ctx, "", allOrders)
			return err
		},
	}
	for name, call := range calls {
		if err := call(e.ctx()); !errors.Is(err, driver.ErrClosed) {
			e.Errorf("%s after Close: %v, want %v", name, err, driver.ErrClosed)
		}
	}
	if got := len(e.history(e.connect(), allOrders)); got != 1 {
		e.Fatalf("%d records are held, want the one from before Close", got)
	}
}

func impossibleConfigurationsAreRefused(e *env) {
	tr := e.connect()
	for _, pattern := range []string{"", ".", "ampy..orders.v1.A", "ampy.dev.>.v1", "ampy.dev.orders."} {
		if _, err := tr.Open(e.ctx(), group("g", "m", pattern)); !errors.Is(err, driver.ErrConfig) {
			e.Errorf("Open on pattern %q: %v, want %v", pattern, err, driver.ErrConfig)
		}
		if _, err := tr.Read(e.ctx(), driver.ReadConfig{Pattern: pattern}); !errors.Is(err, driver.ErrConfig) {
			e.Errorf("Read of pattern %q: %v, want %v", pattern, err, driver.ErrConfig)
		}
	}
	if _, err := tr.Open(e.ctx(), group("", "m", allOrders)); !errors.Is(err, driver.ErrConfig) {
		e.Errorf("Open of a group without a name: %v, want %v", err, driver.ErrConfig)
	}
	for _, c := range []driver.GroupConfig{divided("m", allOrders, -1), divided("m", allOrders, driver.MaxShares+1), {Group: "g", Pattern: allOrders, Shares: 2}} {
		if _, err := tr.Open(e.ctx(), c); !errors.Is(err, driver.ErrConfig) {
			e.Errorf("Open with %d shares, key named: %v: %v, want %v", c.Shares, c.KeyOf != nil, err, driver.ErrConfig)
		}
	}
	follow := driver.ReadConfig{Pattern: allOrders, Follow: true, End: time.Now()}
	if _, err := tr.Read(e.ctx(), follow); !errors.Is(err, driver.ErrConfig) {
		e.Errorf("Read that follows to an end: %v, want %v", err, driver.ErrConfig)
	}
	if groups := e.broker.Groups(e.T); len(groups) > 0 {
		e.Errorf("refused calls left %v on the broker", groups)
	}
}
