package natsbinding

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// publication is one Publish call on its way: its records go out one after the
// other, or several as a batch, and the next only after the one before is
// stored.
type publication struct {
	t      *Transport
	recs   []driver.Record
	settle func(int, driver.Outcome)
	log    *log
	batch  batchAttempt
	single bool // a batch was refused: go on one by one
	// fresh: the record before was new to the log, and so is what follows.
	fresh bool
}

// Publish implements driver.Transport. An attempt without an answer is
// uncertain after Config.AckTimeout, or at once when the connection breaks.
func (t *Transport) Publish(recs []driver.Record, settle func(int, driver.Outcome)) {
	if len(recs) == 0 {
		return
	}
	p := &publication{t: t, recs: recs, settle: settle}
	if !t.admit() {
		p.refuse()
		return
	}
	if mutant.On("async-pipeline-per-key") {
		p.pipeline()
		return
	}
	p.send(0)
}

// admit counts a call that Close is to wait for. It reports false on a closed
// transport.
func (t *Transport) admit() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.unsettled.Add(1)
	}
	return !t.closed
}

// refuse settles all records of a call on a closed transport.
func (p *publication) refuse() {
	for i := range p.recs {
		p.settle(i, driver.Outcome{Err: fmt.Errorf("publish to %s: %w", p.recs[i].Topic, driver.ErrClosed)})
	}
}

// report settles record i; the last one ends the call.
func (p *publication) report(i int, o driver.Outcome) {
	p.settle(i, o)
	if i == len(p.recs)-1 {
		p.t.unsettled.Done()
	}
}

// send publishes from record i on.
func (p *publication) send(i int) {
	if r := &p.recs[i]; p.t.tooLarge(r) {
		p.fail(i, driver.Outcome{Err: fmt.Errorf("publish to %s: %w of %d bytes, headers included", r.Topic, driver.ErrTooLarge, p.t.Limits().MaxRecordBytes)})
		return
	}
	l := p.t.logs.lookup(p.recs[i].Topic)
	if l == nil {
		go p.findAndSend(i)
		return
	}
	p.sendTo(l, i)
}

func (p *publication) findAndSend(i int) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*apiTimeout)
	defer cancel()
	l, err := p.t.logs.find(ctx, p.recs[i].Topic)
	if err != nil {
		p.fail(i, driver.Outcome{Err: err})
		return
	}
	p.sendTo(l, i)
}

func (p *publication) sendTo(l *log, i int) {
	if l != p.log {
		p.log, p.fresh = l, false
	}
	p.t.out.add(outgoing{p: p, l: l, i: i, n: p.batchSize(l, i)})
}

func (p *publication) sendNow(l *log, i, n int) {
	switch {
	case n == 1:
		p.sendOne(l, i)
	case l.batch == streamedBatch:
		p.sendFast(l, i, n)
	default:
		p.sendBatch(l, i, n)
	}
}

func (p *publication) sendOne(l *log, i int) {
	r := &p.recs[i]
	f := forms.Get().(*form)
	defer f.done()
	var extra [2]driver.Header
	if err := f.fill(r, l.headers(extra[:0], r.ID)...); err != nil {
		p.fail(i, driver.Outcome{Err: fmt.Errorf("publish to %s: %w", r.Topic, err)})
		return
	}
	reply, token, err := p.t.acks.open(p, i)
	if err != nil {
		p.fail(i, driver.Outcome{Err: err})
		return
	}
	f.msg.Reply = reply
	if err := p.t.nc.PublishMsg(&f.msg); err != nil {
		p.withdraw(token, i, err)
	}
}

// headers appends the driver's own headers for a publish to l.
func (l *log) headers(hs []driver.Header, id string) []driver.Header {
	if id != "" && l.ids {
		hs = append(hs, driver.Header{Name: nats.MsgIdHdr, Value: id})
	}
	if l.expect != "" {
		hs = append(hs, driver.Header{Name: nats.ExpectedStreamHdr, Value: l.expect})
	}
	return hs
}

// withdraw settles a record that the client did not take, unless a broken
// connection has settled it already.
func (p *publication) withdraw(token uint64, i int, err error) {
	if w, _ := p.t.acks.take(token); w != nil {
		p.fail(i, driver.Outcome{Err: sendError(p.recs[i].Topic, err)})
	}
}

// sendError says why the client did not take a record; nothing was sent.
func sendError(topic string, err error) error {
	var kind error
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		kind = driver.ErrTooLarge
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected):
		return fmt.Errorf("publish to %s: %w: no connection", topic, driver.ErrUnavailable)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		kind = driver.ErrClosed
	case errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrInvalidMsg),
		errors.Is(err, nats.ErrBadHeaderMsg), errors.Is(err, nats.ErrHeadersNotSupported):
		return fmt.Errorf("publish to %s: %w", topic, err)
	default:
		// The write failed half way: the connection is broken, and some of it
		// may have arrived.
		kind = driver.ErrUncertain
	}
	return fmt.Errorf("publish to %s: %w: %w", topic, kind, err)
}

func (p *publication) on(i int, subject string) bool { return p.recs[i].Topic == subject }

// acked implements waiter for single records.
func (p *publication) acked(i int, m *nats.Msg, err error) {
	o := driver.Outcome{Err: err}
	if err == nil {
		o = p.outcome(m)
	}
	if o.Err == nil {
		p.settled(i, o)
		return
	}
	if hasCode(o.Err, codeWrongStream) && p.log.expect != "" {
		p.t.logs.learn(p.log)
		p.send(i)
		return
	}
	o.Err = fmt.Errorf("publish to %s: %w", p.recs[i].Topic, o.Err)
	p.fail(i, o)
}

// outcome reads the answer to one record.
func (p *publication) outcome(m *nats.Msg) driver.Outcome {
	a, err := p.answer(m)
	if err != nil {
		return driver.Outcome{Err: err}
	}
	return a.outcome()
}

// answer reads an answer that says stored, or makes an error of it.
func (p *publication) answer(m *nats.Msg) (pubAck, error) {
	if isNoResponders(m) {
		p.t.logs.forget(p.log)
		return pubAck{}, fmt.Errorf("%w: no stream listens on the subject", driver.ErrUnavailable)
	}
	a, err := parsePubAck(m.Data, p.log.name)
	if err != nil {
		return a, fmt.Errorf("%w: %w", driver.ErrUncertain, err)
	}
	if a.Error != nil {
		return a, a.Error
	}
	if a.Stream != p.log.name {
		p.t.logs.forget(p.log)
	}
	return a, nil
}

func (a *pubAck) outcome() driver.Outcome {
	return driver.Outcome{Duplicate: a.Duplicate, Log: a.Stream, Pos: a.Seq}
}

func isNoResponders(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == "503"
}

// settled reports record i as stored and goes on with the next.
func (p *publication) settled(i int, o driver.Outcome) {
	p.report(i, o)
	p.fresh = !o.Duplicate
	if i+1 < len(p.recs) && !mutant.On("async-pipeline-per-key") {
		p.send(i + 1)
	}
}

// fail reports record i, and that none of the later ones was attempted.
func (p *publication) fail(i int, o driver.Outcome) {
	p.report(i, o)
	if mutant.On("async-pipeline-per-key") {
		return
	}
	for j := i + 1; j < len(p.recs); j++ {
		if errors.Is(o.Err, driver.ErrClosed) {
			p.report(j, o)
			continue
		}
		p.report(j, driver.Outcome{Err: fmt.Errorf("publish to %s: %w: not attempted, an earlier record of the key failed", p.recs[j].Topic, driver.ErrUnavailable)})
	}
}

// pipeline is the mutant async-pipeline-per-key: it does not wait for the
// record before.
func (p *publication) pipeline() {
	for i := range p.recs {
		l, err := p.t.logs.find(context.Background(), p.recs[i].Topic)
		if err != nil {
			p.fail(i, driver.Outcome{Err: err})
			continue
		}
		p.log = l
		p.sendOne(l, i)
	}
}
