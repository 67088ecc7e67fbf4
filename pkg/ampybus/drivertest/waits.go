package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// await waits for cond, which is asked under the lock after every event.
func (m *member) await(what string, cond func() bool) {
	m.e.Helper()
	ctx := m.e.ctx()
	for {
		m.mu.Lock()
		ok, changed := cond(), m.changed
		state := m.state()
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			m.e.Fatalf("%s: waited %v for %s; %s", m.name, m.e.h.Patience, what, state)
		}
	}
}

// state describes the member in a failure. The lock is held.
func (m *member) state() string {
	s := fmt.Sprintf("%d records", len(m.got))
	for name, l := range m.lanes {
		s += fmt.Sprintf("; lane %s %+v", name, *l)
	}
	for _, ev := range m.other {
		if ev.Kind == driver.Trouble {
			s += fmt.Sprintf("; trouble: %v", ev.Err)
		}
	}
	return s
}

// takes waits until n records are there, and returns all.
func (m *member) takes(n int) []taken {
	m.e.Helper()
	m.await(fmt.Sprintf("%d records", n), func() bool { return len(m.got) >= n })
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

// sees waits for an event that is not Records, and returns the first.
func (m *member) sees(what string, kind driver.EventKind) driver.Event {
	m.e.Helper()
	var found driver.Event
	m.await(what, func() bool {
		i := slices.IndexFunc(m.other, func(ev driver.Event) bool { return ev.Kind == kind })
		if i >= 0 {
			found = m.other[i]
		}
		return i >= 0
	})
	return found
}

// takesValues waits for as many records as want has, and expects their values.
func (m *member) takesValues(want []string) []taken {
	m.e.Helper()
	got := m.takes(len(want))
	if vs := values(deliveries(got)); !slices.Equal(vs, want) {
		m.e.Fatalf("%s got %v, want %v", m.name, vs, want)
	}
	return got
}

// never watches for d that cond stays false.
func (m *member) never(what string, d time.Duration, cond func() bool) {
	m.e.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		m.mu.Lock()
		broken, changed := cond(), m.changed
		state := m.state()
		m.mu.Unlock()
		if broken {
			m.e.Fatalf("%s: %s; %s", m.name, what, state)
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		}
	}
}

// receive takes the next event of a source that is read by hand.
func (e *env) receive(src driver.Source) driver.Event {
	e.Helper()
	timer := time.NewTimer(e.h.Patience)
	defer timer.Stop()
	select {
	case ev, ok := <-src.Events():
		if !ok {
			e.Fatalf("the source has ended: %v", src.Err())
		}
		return ev
	case <-timer.C:
		e.Fatalf("waited %v for an event", e.h.Patience)
		return driver.Event{}
	}
}

// receiveRecords takes events by hand up to the next Records.
func (e *env) receiveRecords(src driver.Source) driver.Event {
	e.Helper()
	for {
		if ev := e.receive(src); ev.Kind == driver.Records {
			return ev
		}
	}
}

// reads takes n records from a reader.
func (e *env) reads(r driver.Reader, n int) []driver.Delivery {
	e.Helper()
	var got []driver.Delivery
	for len(got) < n {
		recs, err := r.Next(e.ctx())
		if err != nil {
			e.Fatalf("read record %d of %d: %v", len(got), n, err)
		}
		got = append(got, recs...)
	}
	return got
}

// waits calls Next on a reader that has nothing, and watches that it does not
// return yet; the result waits until it does.
func (e *env) waits(r driver.Reader) (result func() []driver.Delivery) {
	e.Helper()
	var recs []driver.Delivery
	ctx, returned := e.ctx(), make(chan struct{})
	go func() {
		defer close(returned)
		var err error
		if recs, err = r.Next(ctx); err != nil {
			e.Errorf("Next of a reader that waits: %v", err)
		}
	}()
	if e.within(e.h.Quiet, returned) {
		e.Errorf("a reader that has nothing returned %v", values(recs))
	}
	return func() []driver.Delivery {
		e.Helper()
		e.await(returned, "a waiting reader to get something")
		return recs
	}
}

// readsNothing watches that a reader has nothing more, for a while.
func (e *env) readsNothing(r driver.Reader) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), e.h.Quiet)
	defer cancel()
	if recs, err := r.Next(ctx); err == nil || errors.Is(err, io.EOF) {
		e.Fatalf("a reader that waits returned %v, %v", values(recs), err)
	}
}
