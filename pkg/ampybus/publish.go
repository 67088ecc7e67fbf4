package ampybus

import (
	"context"
	"fmt"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Publish stores one message and waits for the broker's word. It validates,
// compresses above 128 KiB (specification §4), and retries with backoff until
// the ceiling of the domain's QoS class; messages of one partition key are
// stored in the order of their calls. topic wins over h.Topic.
//
// Nil means stored. An error that matches ErrUncertain means that the message
// may be stored: publishing it again with the same MessageID stores one copy.
// Any other error means that it is not stored. When ctx ends first, a message
// that was not yet attempted is withdrawn; else the outcome is uncertain.
func (b *Bus) Publish(ctx context.Context, topic string, h Headers, payload []byte) error {
	r, err := b.prepare(ctx, Envelope{Topic: topic, Headers: h, Payload: payload}, mayAsk)
	if err != nil {
		return err
	}
	_, err = b.await(ctx, r)
	return err
}

// PublishAsync hands one message over and calls done exactly once, with what
// Publish would have returned, from any goroutine; done must not block. It
// waits only when Options.MaxPending messages are unsettled. Calls with one
// partition key made one after the other are stored in that order.
func (b *Bus) PublishAsync(e Envelope, done func(error)) {
	r, err := b.prepare(context.Background(), e, onlyKnown)
	if err != nil {
		done(err)
		return
	}
	r.done = done
	b.pipe.submit(r)
}

func notStarted(r *pending, err error) error {
	return &PublishError{Topic: r.rec.Topic, MessageID: r.id, Err: err}
}

// prepare makes a record of e and takes its share of the budget.
func (b *Bus) prepare(ctx context.Context, e Envelope, asking topicLimits) (*pending, error) {
	r, err := b.encode(ctx, e, asking)
	if err != nil {
		return nil, err
	}
	if err := b.pipe.budget.acquire(ctx, r.size); err != nil {
		return nil, notStarted(r, err)
	}
	return r, nil
}

// encode is the publish path up to the broker: validate, hash, compress or
// offload, map the headers.
func (b *Bus) encode(ctx context.Context, e Envelope, asking topicLimits) (*pending, error) {
	e.Headers.Topic = e.Topic
	e.Headers.Bridge = BridgeInfo{} // it is first published here
	if err := b.memo.validate(&e); err != nil {
		return nil, err
	}
	policy := policyRow(domainOf(e.Topic))
	if e.Headers.PayloadHash == "" && (policy.AlwaysHash || b.opts.HashPayloads) {
		e.Headers.PayloadHash = PayloadHash(e.Payload)
	}
	asIs := isEncoded(&e.Headers)
	wire, err := b.pack(ctx, &e, policy)
	if err != nil {
		return nil, err
	}
	r := b.pend(recordOf(&e, wire), &e.Headers, policy)
	limit, over := b.overTopic(ctx, &r.rec, asking)
	if !over || asIs {
		return r, nil
	}
	if wire, err = b.offload(ctx, &e, limit); err != nil {
		return nil, err
	}
	return b.pend(recordOf(&e, wire), &e.Headers, policy), nil
}

func recordOf(e *Envelope, wire []byte) driver.Record {
	return driver.Record{
		Topic:   e.Topic,
		Key:     e.Headers.PartitionKey,
		ID:      e.Headers.MessageID,
		Headers: EncodeHeaders(e.Headers),
		Value:   wire,
	}
}

func (b *Bus) pend(rec driver.Record, h *Headers, policy *Policy) *pending {
	ceiling := policy.PublishCeiling
	if b.opts.PublishCeiling > 0 {
		ceiling = b.opts.PublishCeiling
	}
	size := len(rec.Value)
	for _, x := range rec.Headers {
		size += len(x.Name) + len(x.Value)
	}
	now := time.Now()
	return &pending{
		rec: rec, id: h.MessageID, producer: h.Producer,
		size: size, started: now, deadline: now.Add(ceiling),
	}
}

// settled tells the observer what became of r, and then the caller.
func (b *Bus) settled(r *pending, o driver.Outcome) {
	err := o.Err
	if err != nil {
		err = &PublishError{Topic: r.rec.Topic, MessageID: r.id, Attempts: r.attempts, Err: err}
	}
	b.opts.Observer.Published(PublishEvent{
		Topic: r.rec.Topic, MessageID: r.id, Producer: r.producer, Bytes: r.size,
		Attempts: r.attempts, Duplicate: o.Duplicate, Log: o.Log, Pos: o.Pos, Took: time.Since(r.started), Err: err,
	})
	if r.done != nil {
		r.done(err)
		return
	}
	r.told(o, err)
}

// await submits r and waits for its outcome or the end of ctx.
func (b *Bus) await(ctx context.Context, r *pending) (driver.Outcome, error) {
	type word struct {
		o   driver.Outcome
		err error
	}
	ch := make(chan word, 1)
	r.told = func(o driver.Outcome, err error) { ch <- word{o, err} }
	b.pipe.submit(r)
	select {
	case w := <-ch:
		return w.o, w.err
	case <-ctx.Done():
	}
	if b.pipe.withdraw(r) {
		return driver.Outcome{}, notStarted(r, ctx.Err())
	}
	return driver.Outcome{}, &PublishError{
		Topic: r.rec.Topic, MessageID: r.id,
		Err: fmt.Errorf("%w: %w", ErrUncertain, ctx.Err()),
	}
}

// Forward publishes stored bytes again, as they are: for dead letters,
// redrive, replay and bridges, which never re-encode (their hashes are over
// the bytes first published).
type Forward struct {
	Topic   string
	Headers Headers
	// Wire holds the bytes as stored: compressed if ContentEncoding says so.
	Wire []byte
	// ID is the publish id for the broker's deduplication; it must differ from
	// those of earlier publishes of the message.
	ID string
	// RefuseDuplicate makes an acknowledgement as a duplicate an error: the
	// broker stored nothing then.
	RefuseDuplicate bool
}

// Forward stores f and waits for the broker's word; it returns where the
// record is stored ("log:position"). Errors are those of Publish.
func (b *Bus) Forward(ctx context.Context, f Forward) (origin string, err error) {
	f.Headers.Topic = f.Topic
	e := Envelope{Topic: f.Topic, Headers: f.Headers, Payload: f.Wire}
	if err := e.ValidateInternal(); err != nil {
		return "", err
	}
	return b.forward(ctx, driver.Record{
		Topic: f.Topic, Key: f.Headers.PartitionKey, ID: f.ID,
		Headers: EncodeHeaders(f.Headers), Value: f.Wire,
	}, f.Headers, f.RefuseDuplicate)
}

func (b *Bus) forward(ctx context.Context, rec driver.Record, h Headers, refuseDuplicate bool) (string, error) {
	policy := policyRow(domainOf(rec.Topic))
	r := b.pend(rec, &h, policy)
	r.strict, r.alone = refuseDuplicate, true
	if err := b.pipe.budget.acquire(ctx, r.size); err != nil {
		return "", notStarted(r, err)
	}
	o, err := b.await(ctx, r)
	if err != nil {
		return "", err
	}
	d := driver.Delivery{Log: o.Log, Pos: o.Pos}
	return d.Origin(), nil
}

// ForwardRecord stores rec as it is, headers and bytes, and calls done exactly
// once with the broker's word, from any goroutine; done must not block. Errors
// are those of Publish. rec.ID must be the record's own, so that its repeat is
// one to the broker too. With chained, nothing of its key that comes after it by
// ForwardRecord is stored once it is refused. It is for bridges, which know of
// no contract but the topic; it waits only when Options.MaxPending is reached.
func (b *Bus) ForwardRecord(rec driver.Record, chained bool, done func(driver.Outcome, error)) {
	if _, err := ParseTopic(rec.Topic); err != nil {
		done(driver.Outcome{}, err)
		return
	}
	r := b.pend(rec, new(Headers), policyRow(domainOf(rec.Topic)))
	r.chained = chained
	if err := b.pipe.budget.acquire(context.Background(), r.size); err != nil {
		done(driver.Outcome{}, notStarted(r, err))
		return
	}
	r.told = done
	b.pipe.submit(r)
}
