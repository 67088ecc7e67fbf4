package membinding

import (
	"errors"
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Publish stores recs before it returns, and settles them from a goroutine.
func (t *Transport) Publish(recs []driver.Record, settle func(i int, o driver.Outcome)) {
	outcomes, ok := t.store(recs)
	if !ok {
		t.report(outcomes, settle)
		return
	}
	go func() {
		defer t.settling.Done()
		t.report(outcomes, settle)
	}()
}

// report settles all records, an uncertain one after its time.
func (t *Transport) report(outcomes []driver.Outcome, settle func(i int, o driver.Outcome)) {
	for i, o := range outcomes {
		if errors.Is(o.Err, driver.ErrUncertain) {
			t.awaitAck()
		}
		settle(i, o)
	}
}

// awaitAck waits for an acknowledgement that does not come.
func (t *Transport) awaitAck() {
	timer := time.NewTimer(t.b.cfg.AckTimeout)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.done:
	}
}

var errAfterFailure = fmt.Errorf("not attempted, an earlier record of the call was not stored: %w", driver.ErrUnavailable)

// store stores recs up to the first that fails; ok is false on a client that
// has ended.
func (t *Transport) store(recs []driver.Record) (outcomes []driver.Outcome, ok bool) {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	outcomes = make([]driver.Outcome, len(recs))
	if t.ended != nil {
		for i := range outcomes {
			outcomes[i].Err = t.ended
		}
		return outcomes, false
	}
	failed := false
	for i, rec := range recs {
		if failed {
			outcomes[i].Err = errAfterFailure
			continue
		}
		outcomes[i] = t.storeOne(rec)
		if outcomes[i].Err == nil && t.deaf > 0 {
			outcomes[i] = driver.Outcome{Err: fmt.Errorf("no acknowledgement: %w", driver.ErrUncertain)}
		}
		failed = outcomes[i].Err != nil
	}
	t.settling.Add(1)
	return outcomes, true
}

// storeOne stores one record, or a duplicate's absence. The lock is held.
func (t *Transport) storeOne(rec driver.Record) driver.Outcome {
	if err := t.admit(rec); err != nil {
		return driver.Outcome{Err: fmt.Errorf("publish to %s: %w", rec.Topic, err)}
	}
	l, err := t.b.logFor(rec.Topic)
	if err != nil {
		return driver.Outcome{Err: fmt.Errorf("publish to %s: %w", rec.Topic, err)}
	}
	now := t.b.now()
	l.forget(now.Add(-t.b.cfg.DedupeWindow))
	if pos, ok := l.ids[rec.ID]; ok && rec.ID != "" {
		return driver.Outcome{Duplicate: true, Log: l.name, Pos: pos}
	}
	if err := t.b.makeRoom(l, int64(size(rec))); err != nil {
		return driver.Outcome{Err: fmt.Errorf("publish to %s: %w", rec.Topic, err)}
	}
	pos := l.append(rec, now)
	t.b.stored(l)
	return driver.Outcome{Log: l.name, Pos: pos}
}

// admit applies what refuses a record before its log is asked.
func (t *Transport) admit(rec driver.Record) error {
	if n := size(rec); n > t.b.cfg.MaxRecordBytes {
		return fmt.Errorf("%d bytes where %d are allowed: %w", n, t.b.cfg.MaxRecordBytes, driver.ErrTooLarge)
	}
	if !t.connected {
		return fmt.Errorf("%w: %w", driver.ErrUnavailable, driver.ErrUnreachable)
	}
	return t.b.refused(rec.Topic)
}

// makeRoom applies the log's limit to a record of n bytes.
func (b *Broker) makeRoom(l *log, n int64) error {
	for l.bytes+n > b.cfg.MaxLogBytes {
		if !b.cfg.DropOldest || len(l.entries) == 0 {
			return fmt.Errorf("%s holds %d of %d bytes: %w", l.name, l.bytes, b.cfg.MaxLogBytes, driver.ErrFull)
		}
		l.truncate(l.first + 1)
	}
	return nil
}
