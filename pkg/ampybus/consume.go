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
	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// read makes the message of one delivery, with its headers decoded.
func (it *item) read(d *driver.Delivery, memo *headerMemo) {
	it.m = &it.first
	it.first.fill(d)
	it.m.Lints, it.fault = decodeHeaders(d.Headers, &it.m.Headers, memo)
	it.m.id = memo.id
}

// key is what orders the item. A record whose key cannot be read shares one
// key with its like in the lane, so that nothing overtakes it among them.
func (it *item) key() string {
	if it.m.Headers.PartitionKey != "" {
		return it.m.Headers.PartitionKey
	}
	return it.m.Record.Key
}

// keyOf is item.key without reading all headers: what divides a log into
// shares must be what orders.
func keyOf(d *driver.Delivery) string {
	if len(d.Headers) > maxReadHeaders || headerBlockBytes(d.Headers) > maxReadBlock {
		return d.Key
	}
	for i := range d.Headers {
		if h := &d.Headers[i]; h.Value != "" && fieldOf(h.Name) == fPartitionKey {
			return h.Value
		}
	}
	return d.Key
}

// message is what the handler gets. A handler may have kept the one of an
// earlier attempt, so each attempt has its own.
func (it *item) message(e *engine, t *keyed.Task[*item]) *Message {
	m := it.m
	if it.tried {
		again := *m
		m, it.m = &again, &again
	}
	it.tried = true
	m.Attempt = t.Attempt
	m.Group, m.Lane, m.Epoch = e.c.Group, t.Lane, t.Epoch
	return m
}

// fill sets what the record itself says.
func (m *Message) fill(d *driver.Delivery) {
	m.Topic, m.StoredAt, m.Log, m.Pos, m.Record = d.Topic, d.StoredAt, d.Log, d.Pos, d.Record
}

// process is one attempt on one message, from the core's hand-out to its
// verdict. The order of its steps is a promise.
func (e *engine) process(l *lane, t keyed.Task[*item], memo *topicMemo) keyed.Verdict {
	it := t.Value
	m := it.message(e, &t)
	if it.dead != "" { // its dead letter could not be stored before
		return e.bury(l, it, m, it.dead)
	}
	if it.fault != nil {
		return e.bury(l, it, m, reasonFor(it.fault, ReasonEnvelope))
	}
	if reason, yes := l.condemned(t.Pos); yes && !mutant.On("no-quarantine") {
		return e.bury(l, it, m, reason)
	}
	cause, redriven := "", false
	if t.Parked && !mutant.On("run-parked") {
		cause, redriven = e.behind(t.Key, m)
	}
	if cause != "" {
		return e.bury(l, it, m, ReasonPredecessorDead+":"+cause)
	}
	if err := e.bus.unpack(l.ctx, m, memo); err != nil {
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
		if redriven {
			e.applied(t.Key, t.Lane)
		}
		e.consumed(m, ResultDuplicate, "", 0, nil)
		return keyed.Verdict{Outcome: keyed.Done}
	case seen == SeenIDConflict:
		return e.bury(l, it, m, ReasonIDConflict+": this message_id was applied with another payload")
	case seen == SeenKeyConflict:
		return e.bury(l, it, m, ReasonDedupeConflict+": this dedupe_key was applied with another payload")
	}
	if mutant.On("mark-before-effect") {
		_ = e.c.Dedupe.Mark(l.ctx, m)
	}
	if err := e.mark(l.ctx, l, t.Pos); err != nil {
		return e.retry(l, it, t, m, err)
	}
	start := time.Now()
	e.begin(it, start)
	err = e.handle(l.ctx, m)
	took := time.Since(start) // half of what it costs to ask for the time again
	if err := e.mark(l.ctx, l, 0); err != nil {
		e.notice(Notice{Kind: NoticeTrouble, Lane: l.name, Text: "the end of an attempt could not be marked", Err: err})
	}
	if err != nil {
		return e.failed(l, it, t, m, err, took)
	}
	e.succeeded()
	if err := e.c.Dedupe.Mark(l.ctx, m); err != nil {
		return e.retry(l, it, t, m, fmt.Errorf("mark as applied: %w", err))
	}
	if redriven {
		e.applied(t.Key, t.Lane)
	}
	e.observe(m, ResultOK, "", took, start.Add(took), nil)
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
// process, nor in an outage; else a dead letter or another attempt.
func (e *engine) failed(l *lane, it *item, t keyed.Task[*item], m *Message, err error, took time.Duration) keyed.Verdict {
	if e.releasing(l) && !mutant.On("shutdown-is-failure") {
		e.consumed(m, ResultReleased, "", took, err)
		return released()
	}
	if errors.Is(err, ErrFenced) { // the store knows a newer owner: no fault of the message
		return e.retry(l, it, t, m, err)
	}
	var poison *PoisonError
	if errors.As(err, &poison) || isPermanent(err) {
		return e.bury(l, it, m, reasonFor(err, ReasonPermanent))
	}
	if !e.counts(t.Key, it, err) {
		e.consumed(m, ResultRetry, "outage", took, err)
		return keyed.Verdict{Outcome: keyed.Retry, After: time.Nanosecond}
	}
	it.tries++
	wait, again := e.budget(it, err)
	if !again {
		return e.bury(l, it, m, reasonFor(err, ReasonHandler))
	}
	e.consumed(m, ResultRetry, ReasonCode(reasonFor(err, ReasonHandler)), took, err)
	return keyed.Verdict{Outcome: keyed.Retry, After: wait}
}

// released leaves a message to its next owner, who begins anew.
func released() keyed.Verdict {
	return keyed.Verdict{Outcome: keyed.Retry, Uncounted: true, After: time.Hour}
}

// counts reports whether a failed attempt counts against the message's budget.
// In an outage it does not, and the budget starts anew behind it.
func (e *engine) counts(key string, it *item, err error) bool {
	e.mu.Lock()
	began := e.health.failed(key, it.runs == 1, err, time.Now())
	blamed := e.health.blames(it.successes)
	if !blamed {
		it.tries, it.since, it.successes = 0, time.Time{}, e.health.successes.Load()
	}
	e.mu.Unlock()
	if began {
		e.notice(Notice{Kind: NoticePaused, Text: "several keys fail: this is an outage, not poison; probing", Err: err})
	}
	return blamed || mutant.On("outage-is-poison")
}

// begin notes the start of an attempt.
func (e *engine) begin(it *item, now time.Time) {
	it.runs++
	if it.since.IsZero() {
		it.since, it.successes = now, e.health.successes.Load()
	}
}

// succeeded notes an effect, and resumes a paused consumer. While nothing fails
// it takes no lock.
func (e *engine) succeeded() {
	e.health.successes.Add(1)
	if !e.health.troubled.Load() {
		return
	}
	e.mu.Lock()
	resumed := e.health.recovered()
	if resumed {
		e.cond.Broadcast()
	}
	e.mu.Unlock()
	if resumed {
		e.notice(Notice{Kind: NoticeResumed, Text: "an attempt succeeded; going on"})
	}
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
func (e *engine) budget(it *item, err error) (time.Duration, bool) {
	r := e.retryBudget(it.m.Topic)
	p := backoff.Policy{Base: r.Base, Cap: r.Cap, Attempts: r.Attempts, Elapsed: r.Elapsed}
	wait, again := p.Next(it.tries, time.Since(it.since), globalRand{})
	if d, ok := retryDelay(err); ok && again {
		wait = d
	}
	return max(wait, time.Nanosecond), again
}

func (e *engine) retryBudget(topic string) Retry {
	if e.c.Retry != nil {
		return *e.c.Retry
	}
	if policy := policyRow(domainOf(topic)); policy != nil {
		return policy.Retry
	}
	return policyRow(DomainDLQ).Retry
}

func (e *engine) consumed(m *Message, r Result, reason string, took time.Duration, err error) {
	e.observe(m, r, reason, took, time.Now(), err)
}

// observe is consumed for who has looked at the clock.
func (e *engine) observe(m *Message, r Result, reason string, took time.Duration, now time.Time, err error) {
	ev := ConsumeEvent{Group: e.c.Group, Message: m, Result: r, Reason: reason, Took: took, Err: err}
	if !m.Headers.ProducedAt.IsZero() {
		ev.Latency = now.Sub(m.Headers.ProducedAt) - took
	}
	e.bus.opts.Observer.Consumed(ev)
}

// globalRand is the runtime's random source, safe for concurrent use.
type globalRand struct{}

func (globalRand) Int64N(n int64) int64 { return rand.Int64N(n) }
