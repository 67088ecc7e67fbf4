package kafkabinding

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// sending is one record in the client's hands. Most of the memory that
// publishing needs is in it, so it is used again.
type sending struct {
	rec kgo.Record
	ack func(*kgo.Record, error)

	p  *publication
	kt *kafkaTopic
	i  int
	id idKey

	err error // the client's word
}

// keptHeaders bounds what is kept for the next record: unusual ones go.
const keptHeaders = 32

func (t *Transport) newSending() *sending {
	if s, ok := t.spare.Get().(*sending); ok {
		return s
	}
	s := new(sending)
	s.ack = s.acknowledged
	return s
}

// keep takes back a record that was stored. Only then is nothing of it with the
// client any more: a request that is being written may still read one that the
// client gave up.
func (t *Transport) keep(s *sending) {
	if cap(s.rec.Headers) > keptHeaders {
		return
	}
	clear(s.rec.Headers) // they may point into something large
	s.rec = kgo.Record{Headers: s.rec.Headers[:0]}
	s.p, s.kt, s.err = nil, nil, nil
	t.spare.Put(s)
}

// produce hands the record to the client.
func (s *sending) produce() {
	t := s.p.t
	// Never the caller's context: one that ends would fail every record that
	// the client holds for the partition, those of other callers too.
	ctx := context.Background()
	if mutant.On("caller-ctx-to-produce") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.cfg.AckTimeout)
		_ = cancel
	}
	t.cl.TryProduce(ctx, &s.rec, s.ack)
}

// acknowledged is the client's word.
func (s *sending) acknowledged(_ *kgo.Record, err error) {
	s.err = err
	s.p.t.acks.note(s, &s.p.t.outbox)
}

// settle is the end of s.
func (s *sending) settle() {
	p, i, r, err := s.p, s.i, &s.rec, s.err
	rec := &p.recs[i]
	o := outcome(s.kt, rec.Topic, r, err)
	var waiting []waiter
	if rec.ID != "" {
		waiting = s.kt.ids.finish(s.id, r, err)
	}
	if err == nil {
		p.t.keep(s)
	}
	p.result(i, o)
	o.Duplicate = err == nil
	for _, w := range waiting {
		w.p.result(w.i, o)
	}
}

func outcome(kt *kafkaTopic, topic string, r *kgo.Record, err error) driver.Outcome {
	if err != nil {
		return driver.Outcome{Err: produceError(topic, err)}
	}
	return driver.Outcome{Log: kt.log(r.Partition), Pos: uint64(r.Offset)}
}
