package natsbinding

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Headers of an atomic batch (NATS ADR-50). The server stages the records and
// stores all or none when the last one commits.
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// maxBatch is the server's default limit for one atomic batch.
const maxBatch = 1000

// batchKind is how records of one key go to a stream together.
type batchKind int

const (
	noBatch batchKind = iota
	atomicBatch
	streamedBatch // see fastBatch
)

// kind chooses for a stream. On one replica with file storage the server stages
// an atomic batch in a file of its own and syncs that, which takes as long as 50
// to 500 records sent one by one. A fast batch does not tell where its records
// are stored, and on replicas a server acknowledges the repeat of a record that
// is not yet replicated; so it is for what is left. It needs publish ids: the
// rest of a batch that was given up may arrive behind its repeat.
func (b batching) kind(c jetstream.StreamConfig, ids bool) batchKind {
	quick := c.Replicas > 1 || c.Storage == jetstream.MemoryStorage
	switch {
	case b == batchNever:
		return noBatch
	case c.AllowAtomicPublish && (quick || b == batchAtomic):
		return atomicBatch
	case c.AllowBatchPublish && !quick && ids:
		return streamedBatch
	}
	return noBatch
}

// batchAttempt awaits the answer to one batch: records [from, from+n).
type batchAttempt struct {
	p       *publication
	from, n int
}

// batchSize is how many records from i on can go to l as one batch: each is
// one that nobody but the server can refuse.
func (p *publication) batchSize(l *log, i int) int {
	if l.batch == noBatch || p.single || l.batch == streamedBatch && !p.fresh {
		return 1
	}
	n := 0
	for i+n < len(p.recs) && n < maxBatch && p.t.logs.lookup(p.recs[i+n].Topic) == l && p.t.takes(&p.recs[i+n]) {
		n++
	}
	return max(n, 1)
}

func (p *publication) sendBatch(l *log, from, n int) {
	p.batch = batchAttempt{p: p, from: from, n: n}
	reply, token, err := p.t.acks.open(&p.batch, from)
	if err != nil {
		p.fail(from, driver.Outcome{Err: err})
		return
	}
	id := nuid.Next()
	for k := range n {
		var extra [5]driver.Header
		hs := append(l.headers(extra[:0], p.recs[from+k].ID),
			driver.Header{Name: headerBatchID, Value: id},
			driver.Header{Name: headerBatchSeq, Value: strconv.Itoa(k + 1)})
		if k == n-1 {
			hs = append(hs, driver.Header{Name: headerBatchCommit, Value: "1"})
		}
		if err := p.sendPart(from+k, reply, k == n-1, hs); err != nil {
			p.abandon(token, k, err)
			return
		}
	}
}

func (p *publication) sendPart(i int, reply string, last bool, hs []driver.Header) error {
	f := forms.Get().(*form)
	defer f.done()
	if err := f.fill(&p.recs[i], hs...); err != nil {
		return err
	}
	if last {
		f.msg.Reply = reply
	}
	return p.t.nc.PublishMsg(&f.msg)
}

// abandon ends a batch whose part k could not be sent. Without its commit the
// server stores none of it, so the parts are sent again one by one: those
// before the faulty one are good.
func (p *publication) abandon(token uint64, k int, err error) {
	if w, _ := p.t.acks.take(token); w == nil {
		return // a broken connection has settled the batch
	}
	from, n := p.batch.from, p.batch.n
	err = sendError(p.recs[from+k].Topic, err)
	switch {
	case errors.Is(err, driver.ErrUnavailable), errors.Is(err, driver.ErrClosed):
		p.fail(from, driver.Outcome{Err: err})
		return
	case errors.Is(err, driver.ErrUncertain) && k == n-1:
		p.failBatch(from, n, err)
		return
	}
	p.single = true
	p.send(from)
}

func (b *batchAttempt) on(_ int, subject string) bool {
	for k := range b.n {
		if b.p.recs[b.from+k].Topic == subject {
			return true
		}
	}
	return false
}

// acked implements waiter for a batch.
func (b *batchAttempt) acked(_ int, m *nats.Msg, err error) {
	p, from, n := b.p, b.from, b.n
	if err != nil {
		p.failBatch(from, n, err)
		return
	}
	o := p.outcome(m)
	var api *apiError
	switch {
	case o.Err == nil:
		p.settleBatch(from, n, o)
	case errors.As(o.Err, &api) && p.oneByOne(api):
		p.single = true
		p.send(from)
	default:
		p.failBatch(from, n, o.Err)
	}
}

// oneByOne reports refusals of a batch as such, after which nothing is stored
// and its records may still be good one by one: some are stored already from
// an earlier attempt, one is at fault, or the server takes no batch now.
func (p *publication) oneByOne(e *apiError) bool {
	switch e.ErrCode {
	case codeBatchDisabled, codeFastDisabled:
		p.t.logs.forget(p.log) // it is not as it was
		return true
	case codeBatchTooLarge, codeBatchDuplicate, codeBatchIncomplete,
		codeBatchTooManyOpen, codeFastTooManyOpen,
		codeMessageTooLarge, codeHeaderTooLarge, codeStoreFailed:
		return true
	case codeWrongStream:
		if p.log.expect != "" {
			p.t.logs.learn(p.log)
			return true
		}
	}
	return false
}

// settleBatch reports n stored records: a batch has consecutive positions, and
// the answer tells the last.
func (p *publication) settleBatch(from, n int, o driver.Outcome) {
	for k := range n {
		p.report(from+k, driver.Outcome{Log: o.Log, Pos: o.Pos - uint64(n-1-k)})
	}
	if from+n < len(p.recs) {
		p.send(from + n)
	}
}

// failBatch reports a batch that is not stored, or perhaps stored as a whole.
func (p *publication) failBatch(from, n int, err error) {
	err = fmt.Errorf("publish to %s: %w", p.recs[from].Topic, err)
	if !errors.Is(err, driver.ErrUncertain) {
		p.fail(from, driver.Outcome{Err: err})
		return
	}
	for k := range n - 1 {
		p.report(from+k, driver.Outcome{Err: err})
	}
	p.fail(from+n-1, driver.Outcome{Err: err})
}
