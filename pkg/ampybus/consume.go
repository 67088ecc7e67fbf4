package ampybus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/backoff"
	"github.com/AmpyFin/ampy-bus/internal/keyed"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// read decodes the headers of one delivery.
func (it *item) read(d driver.Delivery) {
	it.d = d
	it.head, it.lints, it.fault = DecodeHeaders(d.Headers)
}

// key is what orders the item. A record whose key cannot be read shares one
// key with its like in the lane, so that nothing overtakes it among them.
func (it *item) key() string {
	if it.head.PartitionKey != "" {
		return it.head.PartitionKey
	}
	return it.d.Key
}

func (it *item) message(e *engine, t keyed.Task[*item]) *Message {
	m := newMessage(it.d, it.head, it.lints)
	m.Attempt = t.Attempt
	m.Group, m.Lane, m.Epoch = e.c.Group, t.Lane, t.Epoch
	return m
}

func newMessage(d driver.Delivery, h Headers, lints []string) *Message {
	return &Message{
		Topic: d.Topic, Headers: h, Lints: lints,
		StoredAt: d.StoredAt, Log: d.Log, Pos: d.Pos, Record: d.Record,
	}
}

// process is one attempt on one message, from the core's hand-out to its
// verdict. The order of its steps is a promise.
func (e *engine) process(l *lane, t keyed.Task[*item]) keyed.Verdict {
	it := t.Value
	m := it.message(e, t)
	if it.dead != "" { // its dead letter could not be stored before
		return e.bury(l, it, m, it.dead)
	}
	if it.fault != nil {
		return e.bury(l, it, m, reasonFor(it.fault, ReasonEnvelope))
	}
	if t.Parked {
		return e.bury(l, it, m, ReasonPredecessorDead+":"+t.Predecessor)
	}
	if err := e.bus.unpack(l.ctx, m); err != nil {
		return e.refuse(l, it, t, m, err)
	}
	if e.c.Check != nil {
		if err := e.c.Check(m); err != nil {
			return e.bury(l, it, m, reasonFor(err, ReasonDecode))
		}
	}
	seen, err := e.c.Dedupe.Seen(l.ctx, m)
	switch {
	case err != nil:
		return e.retry(l, it, t, m, fmt.Errorf("look up duplicates: %w", err))
	case seen == SeenSame:
		e.consumed(m, ResultDuplicate, "", 0, nil)
		return keyed.Verdict{Outcome: keyed.Done}
	case seen == SeenIDConflict:
		return e.bury(l, it, m, ReasonIDConflict+": this message_id was applied with another payload")
	case seen == SeenKeyConflict:
		return e.bury(l, it, m, ReasonDedupeConflict+": this dedupe_key was applied with another payload")
	}
	it.runs++
	start := time.Now()
	err = e.handle(l.ctx, m)
	took := time.Since(start)
	if err != nil {
		return e.failed(l, it, t, m, err, took)
	}
	if err := e.c.Dedupe.Mark(l.ctx, m); err != nil {
		return e.retry(l, it, t, m, fmt.Errorf("mark as applied: %w", err))
	}
	e.consumed(m, ResultOK, "", took, nil)
	return keyed.Verdict{Outcome: keyed.Done}
}

// handle calls the handler; a panic is an error that carries the stack.
func (e *engine) handle(ctx context.Context, m *Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &handlerPanic{value: p, stack: debug.Stack()}
		}
	}()
	return e.h(ctx, m)
}

type handlerPanic struct {
	value any
	stack []byte
}

func (p *handlerPanic) Error() string  { return fmt.Sprintf("handler panicked: %v", p.value) }
func (p *handlerPanic) Reason() string { return ReasonPanic }

// Stack is the stack of the panic, for observers.
func (p *handlerPanic) Stack() []byte { return p.stack }

// failed judges a handler's error: no failure at the end of a lane or of the
// process, else a dead letter or another attempt.
func (e *engine) failed(l *lane, it *item, t keyed.Task[*item], m *Message, err error, took time.Duration) keyed.Verdict {
	if e.releasing(l) {
		e.consumed(m, ResultReleased, "", took, err)
		return keyed.Verdict{Outcome: keyed.Retry, Uncounted: true}
	}
	var poison *PoisonError
	if errors.As(err, &poison) || isPermanent(err) {
		return e.bury(l, it, m, reasonFor(err, ReasonPermanent))
	}
	wait, again := e.budget(t, err)
	if !again {
		return e.bury(l, it, m, reasonFor(err, ReasonHandler))
	}
	e.consumed(m, ResultRetry, ReasonCode(reasonFor(err, ReasonHandler)), took, err)
	return keyed.Verdict{Outcome: keyed.Retry, After: wait}
}

// refuse judges a message that could not be unpacked: a fault of its own, or
// of the blob store, which passes.
func (e *engine) refuse(l *lane, it *item, t keyed.Task[*item], m *Message, err error) keyed.Verdict {
	var r reasoner
	if errors.As(err, &r) {
		return e.bury(l, it, m, reasonFor(err, ReasonDecode))
	}
	return e.retry(l, it, t, m, err)
}

// retry makes another attempt after a fault that is not the message's: it does
// not count against the budget.
func (e *engine) retry(_ *lane, _ *item, t keyed.Task[*item], m *Message, err error) keyed.Verdict {
	e.consumed(m, ResultRetry, "infrastructure", 0, err)
	return keyed.Verdict{
		Outcome: keyed.Retry, Uncounted: true,
		After: infrastructureBackoff.Wait(t.Attempt, globalRand{}),
	}
}

// infrastructureBackoff paces attempts while a store that the bus itself needs
// is away.
var infrastructureBackoff = backoff.Policy{Base: 100 * time.Millisecond, Cap: 5 * time.Second}

// releasing reports that the message's lane, or the process, is going away.
func (e *engine) releasing(l *lane) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopping || l.draining || l.ctx.Err() != nil
}

// budget returns the wait before the next attempt, or false when the retry
// budget is spent.
func (e *engine) budget(t keyed.Task[*item], err error) (time.Duration, bool) {
	r := e.retryBudget(t.Value.d.Topic)
	p := backoff.Policy{Base: r.Base, Cap: r.Cap, Attempts: r.Attempts, Elapsed: r.Elapsed}
	wait, again := p.Next(t.Attempt, time.Since(t.FirstTried), globalRand{})
	if d, ok := retryDelay(err); ok && again {
		wait = d
	}
	return max(wait, time.Nanosecond), again
}

func (e *engine) retryBudget(topic string) Retry {
	if e.c.Retry != nil {
		return *e.c.Retry
	}
	policy, _ := PolicyFor(domainOf(topic))
	return policy.Retry
}

func (e *engine) consumed(m *Message, r Result, reason string, took time.Duration, err error) {
	e.bus.opts.Observer.Consumed(ConsumeEvent{
		Group: e.c.Group, Message: m, Result: r, Reason: reason, Took: took,
		Latency: time.Since(m.Headers.ProducedAt) - took, Err: err,
	})
}

// globalRand is the runtime's random source, safe for concurrent use.
type globalRand struct{}

func (globalRand) Int64N(n int64) int64 { return rand.Int64N(n) }
