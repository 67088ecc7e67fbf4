package natsbinding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// fastBatch awaits the answers to records [from, from+n), sent at once as a fast
// batch (NATS ADR-50, server 2.14). The server stores each record as it comes,
// takes none that does not follow the one before, and says at the end how many
// it stored: these are the first ones. Unlike an atomic batch it syncs nothing.
// It passes over records that it holds already and does not say which. Those
// come first, left by an attempt that was uncertain, so a batch begins behind a
// record that went alone and was new.
type fastBatch struct {
	p       *publication
	log     *log
	from, n int
	over    atomic.Bool // settled: the rest need not be sent
	// fault is the first refusal of a record, by its place in the batch, which
	// counts from 1. Only the goroutine that hears the answers uses it.
	fault   error
	faultAt int
}

// A reply subject of a fast batch, behind prefix and token:
// ID.FLOW.fail.PLACE.OP.$FI. FLOW is after how many records the server
// acknowledges on the way: no batch is that long.
const (
	fastMiddle = ".1000.fail."
	fastFirst  = ".0.$FI"
	fastAppend = ".1.$FI"
	fastCommit = ".2.$FI"
	fastNote   = `{"type":"` // begins what is no last word
)

func (p *publication) sendFast(l *log, from, n int) {
	b := &fastBatch{p: p, log: l, from: from, n: n}
	reply, token, err := p.t.acks.open(b, from)
	if err != nil {
		p.fail(from, driver.Outcome{Err: err})
		return
	}
	head := reply + "." + nuid.Next() + fastMiddle
	if mutant.On("pass-gaps-in-batch") {
		head = strings.Replace(head, ".fail.", ".ok.", 1)
	}
	for k := 0; k < n && !b.over.Load(); k++ {
		if err := b.send(k, head); err != nil {
			b.abandon(token, k, err)
			return
		}
	}
}

// send sends the record k behind the first.
func (b *fastBatch) send(k int, head string) error {
	op := fastAppend
	switch k {
	case 0:
		op = fastFirst
	case b.n - 1:
		op = fastCommit
	}
	f := forms.Get().(*form)
	defer f.done()
	var extra [2]driver.Header
	r := &b.p.recs[b.from+k]
	if err := f.fill(r, b.log.headers(extra[:0], r.ID)...); err != nil {
		return err
	}
	f.msg.Reply = head + strconv.Itoa(k+1) + op
	return b.p.t.nc.PublishMsg(&f.msg)
}

// abandon ends a batch that the client took only the first k records of.
func (b *fastBatch) abandon(token uint64, k int, err error) {
	if w, _ := b.p.t.acks.take(token); w == nil {
		return // a broken connection has settled it
	}
	b.over.Store(true)
	p := b.p
	err = sendError(p.recs[b.from+k].Topic, err)
	for j := range k {
		p.report(b.from+j, driver.Outcome{Err: fmt.Errorf("%w: %w", uncertain(), err)})
	}
	if k > 0 {
		err = fmt.Errorf("publish to %s: %w: not sent", p.recs[b.from+k].Topic, driver.ErrUnavailable)
	}
	p.fail(b.from+k, driver.Outcome{Err: err})
}

func (b *fastBatch) on(_ int, subject string) bool {
	for k := range b.n {
		if b.p.recs[b.from+k].Topic == subject {
			return true
		}
	}
	return false
}

// ends reports whether m is the last answer, and remembers what the others say.
// The last is how many records are stored; without it the refusal of the first
// or last record, or that the server does not know the batch.
func (b *fastBatch) ends(m *nats.Msg) bool {
	if bytes.HasPrefix(m.Data, []byte(fastNote)) {
		b.hear(m.Data)
		return false
	}
	place := placeIn(m.Subject)
	if isNoResponders(m) {
		return true
	}
	a, err := parsePubAck(m.Data, b.log.name)
	if err != nil || a.Error == nil || place <= 1 || a.Error.ErrCode == codeFastUnknown {
		return true
	}
	b.refuse(place, a.Error)
	return place >= b.n
}

// placeIn reads the place in a reply subject; 0: there is none.
func placeIn(subject string) int {
	_, rest, _ := strings.Cut(subject, fastMiddle)
	digits, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// hear takes a note in: progress, a gap, or the refusal of a record.
func (b *fastBatch) hear(data []byte) {
	var note struct {
		Type  string    `json:"type"`
		Place int       `json:"seq"`
		Error *apiError `json:"error"`
	}
	if json.Unmarshal(data, &note) == nil && note.Type == "err" && note.Error != nil {
		b.refuse(note.Place, note.Error)
	}
}

func (b *fastBatch) refuse(place int, err error) {
	if b.fault == nil {
		b.fault, b.faultAt = err, place
	}
}

// acked implements waiter.
func (b *fastBatch) acked(_ int, m *nats.Msg, err error) {
	p := b.p
	b.over.Store(true)
	switch {
	case errors.Is(err, driver.ErrPermission): // for one subject of several, perhaps
		p.single = true
		p.send(b.from)
		return
	case err != nil:
		p.failBatch(b.from, b.n, err)
		return
	}
	a, err := p.answer(m)
	var api *apiError
	switch {
	case err == nil:
		b.stored(a.Count, driver.Outcome{Duplicate: a.Seq == 0})
	case placeIn(m.Subject) > 1:
		p.failBatch(b.from, b.n, fmt.Errorf("%w: %w", uncertain(), err))
	case errors.As(err, &api) && p.oneByOne(api):
		p.single = true
		p.send(b.from)
	default:
		p.failBatch(b.from, b.n, err)
	}
}

// stored reports the first count records, and goes on or fails behind them. The
// server tells the last position, and none where it held all of them; how many
// of others lie between is not known.
func (b *fastBatch) stored(count int, o driver.Outcome) {
	p := b.p
	if count < 1 || count > b.n || b.fault != nil && count >= b.faultAt {
		p.t.logs.forget(p.log) // the server may know no fast batches any more
		p.failBatch(b.from, b.n, fmt.Errorf("%w: %d of %d records acknowledged", uncertain(), count, b.n))
		return
	}
	for k := range count {
		p.report(b.from+k, o)
	}
	p.fresh = !o.Duplicate
	next := b.from + count
	switch {
	case count < b.n && b.faultAt == count+1:
		p.fail(next, driver.Outcome{Err: fmt.Errorf("publish to %s: %w", p.recs[next].Topic, b.fault)})
	case count < b.n:
		p.fail(next, driver.Outcome{Err: fmt.Errorf("publish to %s: %w: it did not arrive", p.recs[next].Topic, driver.ErrUnavailable)})
	case next < len(p.recs):
		p.send(next)
	}
}
