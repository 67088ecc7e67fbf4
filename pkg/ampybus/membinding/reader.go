package membinding

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// reader reads logs without a group. It implements driver.Reader.
type reader struct {
	t       *Transport
	pattern pattern
	follow  bool
	wake    chan struct{} // holds one token: look again
	done    chan struct{}
	once    sync.Once

	// The broker's lock guards the rest.
	cursors []*cursor
}

// cursor is a reader's place in one log: what is left is [next, end).
type cursor struct {
	log       *log
	next, end uint64
}

const endless = math.MaxUint64

// newReader fixes the window. The lock is held.
func newReader(t *Transport, p pattern, c driver.ReadConfig) *reader {
	r := &reader{
		t:       t,
		pattern: p,
		follow:  c.Follow || c.New,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	for _, l := range t.b.logsOf(p) {
		r.cursors = append(r.cursors, window(l, c))
	}
	return r
}

func window(l *log, c driver.ReadConfig) *cursor {
	cur := &cursor{log: l, next: l.first, end: l.next()}
	switch from, set := c.From[l.name]; {
	case set:
		cur.next = max(from, 1)
	case c.New:
		cur.next = l.next()
	case !c.Start.IsZero():
		cur.next = l.since(c.Start)
	}
	if !c.End.IsZero() {
		cur.end = l.since(c.End)
	}
	if c.Follow || c.New {
		cur.end = endless
	}
	return cur
}

// Next returns the next records.
func (r *reader) Next(ctx context.Context) ([]driver.Delivery, error) {
	for {
		batch, wait, err := r.step(ctx)
		if err != nil || len(batch) > 0 {
			return batch, err
		}
		select {
		case <-wait:
		case <-r.wake:
		case <-r.done:
		case <-ctx.Done():
		}
	}
}

// step looks once; wait is closed when the connection changes.
func (r *reader) step(ctx context.Context) (batch []driver.Delivery, wait <-chan struct{}, err error) {
	r.t.b.mu.Lock()
	defer r.t.b.mu.Unlock()
	select {
	case <-r.done:
		return nil, nil, fmt.Errorf("read %s: %w", r.pattern.text, driver.ErrClosed)
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", r.pattern.text, err)
	}
	if !r.t.connected {
		return nil, r.t.changed, nil
	}
	batch, err = r.collect()
	return batch, r.t.changed, err
}

// collect returns the oldest records that are left, by time of storing over all
// logs, up to a gap.
func (r *reader) collect() ([]driver.Delivery, error) {
	r.discover()
	var batch []driver.Delivery
	for bytes := 0; len(batch) < maxBatch && bytes < maxBatchBytes; {
		if c := r.gap(); c != nil {
			if len(batch) > 0 {
				return batch, nil
			}
			return nil, c.skip()
		}
		c := r.oldest()
		if c == nil {
			break
		}
		d := c.log.delivery(c.next, 0)
		batch = append(batch, d)
		bytes += size(d.Record)
		c.next++
	}
	if len(batch) == 0 && !r.follow {
		return nil, io.EOF
	}
	return batch, nil
}

// discover adds logs that were created after the reader was opened.
func (r *reader) discover() {
	if !r.follow {
		return
	}
	for _, l := range r.t.b.logsOf(r.pattern) {
		if !slices.ContainsFunc(r.cursors, func(c *cursor) bool { return c.log == l }) {
			r.cursors = append(r.cursors, &cursor{log: l, next: 1, end: endless})
		}
	}
}

// gap finds a cursor whose next record is gone.
func (r *reader) gap() *cursor {
	for _, c := range r.cursors {
		if c.next < min(c.log.first, c.end) {
			return c
		}
	}
	return nil
}

// skip goes behind a gap, and reports it.
func (c *cursor) skip() error {
	gap := &driver.GapError{Log: c.log.name, From: c.next, To: min(c.log.first, c.end)}
	c.next = gap.To
	return gap
}

// oldest moves every cursor to a record of the pattern, and finds the one that
// was stored first; nil where nothing is left.
func (r *reader) oldest() *cursor {
	var first *cursor
	for _, c := range r.cursors {
		end := min(c.end, c.log.next())
		c.next = c.log.seek(r.pattern, c.next, end)
		if c.next >= end {
			continue
		}
		if first == nil || c.log.at(c.next).storedAt.Before(first.log.at(first.next).storedAt) {
			first = c
		}
	}
	return first
}

func (r *reader) wakes() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Close ends the reader. It may be called twice.
func (r *reader) Close() error {
	r.t.b.mu.Lock()
	defer r.t.b.mu.Unlock()
	r.end()
	return nil
}

// end stops the reader. The lock is held.
func (r *reader) end() {
	r.once.Do(func() {
		r.t.readers = without(r.t.readers, r)
		close(r.done)
	})
}
