package ampybus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Range selects history: the window [Start, End) of the broker's stored time.
type Range struct {
	// Pattern selects topics; its tokens may be "*", the last ">".
	Pattern string
	// Start: zero begins at the oldest record held.
	Start time.Time
	// End: zero ends behind the newest record at the moment of the call.
	End time.Time
	// Keys selects partition keys. Empty: all.
	Keys []string
	// Limit ends after so many messages. Zero: no limit.
	Limit int
	// Follow goes on with what is stored later, until ctx ends.
	Follow bool
	// From begins at positions, by log; it wins over Start for these.
	From map[string]uint64
}

// Validate reports every fault of r, each naming its field.
func (r Range) Validate() error {
	var faults []error
	if _, err := ParsePattern(r.Pattern); err != nil {
		faults = append(faults, err)
	}
	if !r.Start.IsZero() && !r.End.IsZero() && !r.Start.Before(r.End) {
		faults = append(faults, &FieldError{Field: "end", Value: r.End.Format(time.RFC3339Nano), Problem: "not after start", Fix: "the window is [start, end)"})
	}
	if r.Follow && !r.End.IsZero() {
		faults = append(faults, &FieldError{Field: "end", Problem: "given together with follow", Fix: "leave one of them out"})
	}
	if r.Limit < 0 {
		faults = append(faults, &FieldError{Field: "limit", Value: fmt.Sprint(r.Limit), Problem: "negative", Fix: "use 0 for no limit"})
	}
	return errors.Join(faults...)
}

// Read yields the messages of a window without leaving a trace on the broker:
// no group, no position. Messages of one log come in its order, several logs
// merged by stored time. A message that breaks the contract is yielded with
// its error and reading goes on; a gap is yielded as a *driver.GapError with a
// nil message, and any other error with a nil message ends it.
func (b *Bus) Read(ctx context.Context, r Range) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		if err := r.Validate(); err != nil {
			yield(nil, err)
			return
		}
		rd, err := b.t.Read(ctx, driver.ReadConfig{
			Pattern: r.Pattern, Start: r.Start, End: r.End, Follow: r.Follow, From: r.From,
		})
		if err != nil {
			yield(nil, fmt.Errorf("read %s: %w", r.Pattern, err))
			return
		}
		defer func() { _ = rd.Close() }()
		b.drainReader(ctx, rd, r, yield)
	}
}

func (b *Bus) drainReader(ctx context.Context, rd driver.Reader, r Range, yield func(*Message, error) bool) {
	keys := make(map[string]bool, len(r.Keys))
	for _, k := range r.Keys {
		keys[k] = true
	}
	n := 0
	var memo readMemo
	for {
		ds, err := rd.Next(ctx)
		var gap *driver.GapError
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &gap):
			if !yield(nil, err) {
				return
			}
			continue
		case err != nil:
			yield(nil, fmt.Errorf("read %s: %w", r.Pattern, err))
			return
		}
		for i := range ds {
			m, err := b.message(ctx, &ds[i], &memo)
			if len(keys) > 0 && !keys[m.Headers.PartitionKey] {
				continue
			}
			if !yield(m, err) {
				return
			}
			if n++; n == r.Limit {
				return
			}
		}
	}
}

// readMemo is what one reading goroutine knows of the record before.
type readMemo struct {
	headers headerMemo
	topic   topicMemo
}

// message decodes and verifies one record outside of any group.
func (b *Bus) message(ctx context.Context, d *driver.Delivery, memo *readMemo) (*Message, error) {
	m := new(Message)
	m.fill(d)
	var err error
	if m.Lints, err = decodeHeaders(d.Headers, &m.Headers, &memo.headers); err == nil {
		err = b.unpack(ctx, m, &memo.topic)
	}
	if err != nil {
		return m, fmt.Errorf("message %s: %w", d.Origin(), err)
	}
	return m, nil
}

// Subscription is a live subscription.
type Subscription struct {
	bus  *Bus
	quit context.CancelFunc
	done chan struct{}
	err  error // set before done is closed
}

// Subscribe calls fn with every message that is stored on pattern from now on,
// one at a time, in order, until Stop or Close. It keeps no position: what is
// stored while it is not running, and what breaks the contract, is not seen
// (the latter is a notice). Use Consume where nothing may be missed.
func (b *Bus) Subscribe(pattern string, fn func(*Message)) (*Subscription, error) {
	if _, err := ParsePattern(pattern); err != nil {
		return nil, err
	}
	ctx, quit := context.WithCancel(context.Background())
	rd, err := b.t.Read(ctx, driver.ReadConfig{Pattern: pattern, New: true, Follow: true})
	if err != nil {
		quit()
		return nil, fmt.Errorf("subscribe to %s: %w", pattern, err)
	}
	s := &Subscription{bus: b, quit: quit, done: make(chan struct{})}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		quit()
		return nil, errors.Join(ErrClosed, rd.Close())
	}
	b.subs[s] = struct{}{}
	b.mu.Unlock()
	go s.run(ctx, rd, fn)
	return s, nil
}

func (s *Subscription) run(ctx context.Context, rd driver.Reader, fn func(*Message)) {
	defer close(s.done)
	defer func() { _ = rd.Close() }()
	s.bus.drainReader(ctx, rd, Range{}, func(m *Message, err error) bool {
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			s.bus.opts.Observer.Noticed(Notice{Kind: NoticeReader, Text: "live subscription", Err: err})
			if m == nil {
				s.err = err
			}
		default:
			fn(m)
		}
		return true
	})
}

// Stop ends the subscription and waits for a running fn. It may be called
// twice, but not from fn.
func (s *Subscription) Stop() error {
	s.quit()
	<-s.done
	s.bus.mu.Lock()
	delete(s.bus.subs, s)
	s.bus.mu.Unlock()
	return nil
}

// Err is what ended the subscription early, once it has ended.
func (s *Subscription) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Lag says how far behind a group is.
type Lag struct {
	Group   string
	Pending uint64 // records not finished, over all lanes
	Lanes   []driver.LaneState
}

// Lag asks the broker how far behind group is.
func (b *Bus) Lag(ctx context.Context, group string) (Lag, error) {
	lanes, err := b.t.Lanes(ctx, group, "ampy.>")
	if err != nil {
		return Lag{}, fmt.Errorf("lag of group %s: %w", group, err)
	}
	l := Lag{Group: group, Lanes: lanes}
	for i := range lanes {
		l.Pending += lanes[i].Pending
	}
	return l, nil
}
