package bench

import (
	"context"
	"errors"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// RunBatches publishes the load in batches from several goroutines, each of
// which waits for its whole batch. At a rate a batch is due with its first
// message; latency is that of the batch, for each message of it.
func RunBatches(ctx context.Context, name string, c Client, l Load, size, callers int) (*Result, error) {
	return l.measure(name, func(r *Result, began time.Time) {
		payload := l.payload()
		l.divide(ctx, began, callers, size, func(first int, at time.Time) {
			es := l.envelopes(first, min(first+size, l.Count), at, payload)
			r.noteBatch(len(es), at, len(payload), c.PublishBatch(ctx, es))
		})
	})
}

// envelopes are messages [from, to) of the load.
func (l Load) envelopes(from, to int, at time.Time, payload []byte) []ampybus.Envelope {
	es := make([]ampybus.Envelope, 0, to-from)
	for i := from; i < to; i++ {
		es = append(es, l.envelope(i, at, payload))
	}
	return es
}

// noteBatch takes the outcome of a batch of n messages: an *ampybus.PublishError
// is that of one message, another error that of all whose own is not known.
func (r *Result) noteBatch(n int, at time.Time, bytes int, err error) {
	took := time.Since(at)
	own, rest := outcomes(err)
	own = own[:min(len(own), n)]
	for _, err := range own {
		r.note(took, bytes, err)
	}
	for range n - len(own) {
		r.note(took, bytes, rest)
	}
}

// outcomes takes the error of a batch apart; a nil rest is stored.
func outcomes(err error) (own []error, rest error) {
	all := []error{err}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		all = joined.Unwrap()
	}
	for _, err := range all {
		if e := (*ampybus.PublishError)(nil); errors.As(err, &e) {
			own = append(own, err)
		} else {
			rest = err
		}
	}
	return own, rest
}

// notStored names a message in the error of a client library, as the bus does.
func notStored(e ampybus.Envelope, err error) error {
	if err == nil {
		return nil
	}
	return &ampybus.PublishError{Topic: e.Topic, MessageID: e.Headers.MessageID, Attempts: 1, Err: err}
}
