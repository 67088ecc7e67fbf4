package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Topics of two logs, whatever the broker's layout. The suite never assumes
// that a log has one lane: a promise about one lane uses one key.
const (
	ordersA = "ampy.dev.orders.v1.A"
	ordersB = "ampy.dev.orders.v1.B"
	fillsA  = "ampy.dev.fills.v1.A"

	allOrders = "ampy.dev.orders.v1.>"
	allDev    = "ampy.dev.>"
)

// env is what one promise works with: a fresh broker and its clients.
type env struct {
	*testing.T
	h      Harness
	broker Broker
	rota   *rota
	dead   map[driver.Transport]bool
}

func newEnv(t *testing.T, h Harness) *env {
	t.Helper()
	return &env{T: t, h: h, broker: h.Start(t), rota: newRota(t), dead: make(map[driver.Transport]bool)}
}

// connect returns a client that is closed when the test ends.
func (e *env) connect() driver.Transport {
	e.Helper()
	tr := e.broker.Connect(e.T)
	e.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), e.h.Patience)
		defer cancel()
		if err := tr.Close(ctx); err != nil && !e.dead[tr] {
			e.Errorf("close transport: %v", err)
		}
	})
	return tr
}

// crash kills a client.
func (e *env) crash(tr driver.Transport) {
	e.Helper()
	e.dead[tr] = true
	e.broker.Crash(e.T, tr)
}

// ctx ends at the deadline for anything that must happen.
func (e *env) ctx() context.Context {
	ctx, cancel := context.WithTimeout(e.Context(), e.h.Patience)
	e.Cleanup(cancel)
	return ctx
}

// await waits for done, and fails the test at the deadline.
func (e *env) await(done <-chan struct{}, what string) {
	e.Helper()
	if !e.within(e.h.Patience, done) {
		e.Fatalf("waited %v for %s", e.h.Patience, what)
	}
}

// within reports whether done happens within d.
func (e *env) within(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// pollEvery paces questions to a broker that tells nobody when it changes.
const pollEvery = 10 * time.Millisecond

// eventually asks until ok, and fails the test at the deadline with the last
// answer.
func (e *env) eventually(what string, ask func() (answer any, ok bool)) {
	e.Helper()
	deadline := time.NewTimer(e.h.Patience)
	defer deadline.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		answer, ok := ask()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			e.Fatalf("waited %v for %s; last seen: %v", e.h.Patience, what, answer)
		}
	}
}

// history reads all that is held on pattern.
func (e *env) history(tr driver.Transport, pattern string) []driver.Delivery {
	e.Helper()
	return e.window(tr, driver.ReadConfig{Pattern: pattern})
}

// window reads to the end of a window, which must hold no gap.
func (e *env) window(tr driver.Transport, c driver.ReadConfig) []driver.Delivery {
	e.Helper()
	r := e.reader(tr, c)
	var all []driver.Delivery
	for {
		recs, err := r.Next(e.ctx())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			e.Fatalf("read %+v after %d records: %v", c, len(all), err)
		}
		if len(recs) == 0 {
			e.Fatalf("read %+v: Next returned no record and no error", c)
		}
		all = append(all, recs...)
	}
}

// reader opens a reader that is closed when the test ends.
func (e *env) reader(tr driver.Transport, c driver.ReadConfig) driver.Reader {
	e.Helper()
	r, err := tr.Read(e.ctx(), c)
	if err != nil {
		e.Fatalf("open reader %+v: %v", c, err)
	}
	e.Cleanup(func() { _ = r.Close() })
	return r
}

// records makes n records of one key on one topic, numbered from first. Their
// IDs and values are unique in the test as long as key and number are.
func records(topic, key string, first, n int) []driver.Record {
	recs := make([]driver.Record, n)
	for i := range recs {
		name := fmt.Sprintf("%s-%d", key, first+i)
		recs[i] = driver.Record{
			Topic:   topic,
			Key:     key,
			ID:      "id-" + name,
			Headers: []driver.Header{{Name: "message_id", Value: "id-" + name}},
			Value:   []byte(name),
		}
	}
	return recs
}

// values lists the values of deliveries, in order.
func values(ds []driver.Delivery) []string {
	vs := make([]string, len(ds))
	for i := range ds {
		vs[i] = string(ds[i].Value)
	}
	return vs
}

// key is the key in a value that records made.
func key(value string) string { return value[:strings.LastIndexByte(value, '-')] }

// ofKey lists the values of one key's deliveries, in order.
func ofKey(ds []driver.Delivery, name string) []string {
	var vs []string
	for i := range ds {
		if v := string(ds[i].Value); key(v) == name {
			vs = append(vs, v)
		}
	}
	return vs
}

// names lists the values that records(…, key, first, n) would have.
func names(key string, first, n int) []string {
	vs := make([]string, n)
	for i := range vs {
		vs[i] = fmt.Sprintf("%s-%d", key, first+i)
	}
	return vs
}
