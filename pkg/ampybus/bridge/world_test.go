package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/membinding"
)

const everything = "ampy.dev.>"

// tester is what tests and properties share.
type tester interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// publish stores records one after the other and waits for each.
func publish(t tester, tr driver.Transport, recs ...driver.Record) {
	t.Helper()
	for _, rec := range recs {
		ch := make(chan driver.Outcome, 1)
		tr.Publish([]driver.Record{rec}, func(_ int, o driver.Outcome) { ch <- o })
		if o := <-ch; o.Err != nil {
			t.Fatalf("publish to %s: %v", rec.Topic, o.Err)
		}
	}
}

// order is the n-th record of a key, with headers that the contract does not
// know, and bytes that are no text.
func order(key string, n int) driver.Record {
	h := ampybus.NewHeaders("ampy.orders.v1.OrderRequest", "oms@1", "test", key)
	h.Topic = "ampy.dev.orders.v1.requests"
	h.Extra = []driver.Header{{Name: "x-zeta", Value: "1"}, {Name: "x-alpha", Value: fmt.Sprint(n)}, {Name: "x-zeta", Value: "2"}}
	return driver.Record{
		Topic: h.Topic, Key: key, ID: h.MessageID, Headers: ampybus.EncodeHeaders(h),
		Value: append([]byte{0, 0xff, '\n'}, fmt.Sprintf("%s-%d", key, n)...),
	}
}

func orders(keys string, each int) []driver.Record {
	var recs []driver.Record
	for n := range each {
		for _, k := range keys {
			recs = append(recs, order(string(k), n))
		}
	}
	return recs
}

// held is all that a broker holds on a pattern.
func held(t tester, tr driver.Transport, pattern string) []driver.Delivery {
	t.Helper()
	ctx := context.Background()
	r, err := tr.Read(ctx, driver.ReadConfig{Pattern: pattern})
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	defer r.Close()
	var all []driver.Delivery
	for {
		ds, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		all = append(all, ds...)
	}
}

// once runs a bridge until it has caught up.
func once(t tester, from, to *membinding.Broker, change ...func(*Config)) Stats {
	t.Helper()
	stats, err := tryOnce(from, to, change...)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return stats
}

func tryOnce(from, to *membinding.Broker, change ...func(*Config)) (Stats, error) {
	c := Config{From: from.Transport(), To: to.Transport(), Pattern: everything, Group: "bridge", Once: true}
	for _, f := range change {
		f(&c)
	}
	b, err := New(c)
	if err != nil {
		return Stats{}, err
	}
	err = b.Run(context.Background())
	return b.Stats(), err
}

// text is a record but for the bridge's headers and the transport's id.
func text(d driver.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q", d.Topic, d.Key, d.Value)
	for _, h := range d.Headers {
		if !own(h.Name) {
			fmt.Fprintf(&b, " %q=%q", h.Name, h.Value)
		}
	}
	return b.String()
}

// sameRecords expects target to hold what source holds, each key of a domain in
// order, and without a key each topic.
func sameRecords(t tester, source, target []driver.Delivery) {
	t.Helper()
	byKey := func(ds []driver.Delivery) map[string][]string {
		m := make(map[string][]string)
		for i := range ds {
			key := domainOf(ds[i].Topic) + "/" + ds[i].Key
			if ds[i].Key == "" {
				key = ds[i].Topic
			}
			m[key] = append(m[key], text(ds[i].Record))
		}
		return m
	}
	a, b := byKey(source), byKey(target)
	for key := range a {
		for i, want := range a[key] {
			if i >= len(b[key]) || b[key][i] != want {
				t.Errorf("key %q, record %d of %d: not\n%s", key, i, len(b[key]), want)
				break
			}
		}
	}
	if len(source) != len(target) {
		t.Errorf("%d records, want %d", len(target), len(source))
	}
}

func headerOf(d driver.Record, name string) string {
	for _, h := range d.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// refusals collects what a bridge refuses.
type refusals struct {
	mu  sync.Mutex
	all []Refusal
}

func (r *refusals) add(x Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, x)
}

func identity(t *testing.T, b *membinding.Broker) string {
	t.Helper()
	id, err := b.Transport().Identity(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}
