package ampybus

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// deadLog is what a member knows of a domain's dead letters: which of its
// group's are not settled for good. It reads all of them once, and from then on
// only what is new, so that a member's further lanes, and those that it takes
// over later, do not wait for all of it again.
type deadLog struct {
	bus   *Bus
	group string
	scope Scope

	turn    chan struct{}                              // held by whoever reads or looks
	keys    map[string]*parkedKey                      // a letter's lane is its log here
	settled map[string]*controlv1.DeadLetterSettlement // until all dead letters are read
	// How far both topics are read.
	letters, settlements place
}

func newDeadLog(b *Bus, group string, s Scope) *deadLog {
	d := &deadLog{bus: b, group: group, scope: s, turn: make(chan struct{}, 1)}
	d.forget()
	return d
}

// forget begins anew.
func (d *deadLog) forget() {
	d.keys = make(map[string]*parkedKey)
	d.settled = make(map[string]*controlv1.DeadLetterSettlement)
	d.letters, d.settlements = place{}, place{}
}

// parked lists the keys that a lane's open dead letters hold. from is the
// lane's committed position: a redriven copy behind it was applied, and no
// owner of the lane will ever see it open again.
func (d *deadLog) parked(ctx context.Context, lane string, from uint64) (map[string]*parkedKey, error) {
	if err := d.catchUp(ctx); err != nil {
		return nil, err
	}
	defer d.leave()
	open := make(map[string]*parkedKey)
	for key, p := range d.keys {
		if held := p.split(key, lane, from); len(held) > 0 {
			open[key] = &parkedKey{open: held}
		}
		if len(p.open) == 0 {
			delete(d.keys, key)
		}
	}
	return open, nil
}

// split drops what was applied on a lane, and returns the letters that hold a
// key there.
func (p *parkedKey) split(key, lane string, from uint64) (held []letter) {
	p.drop(func(l letter) bool {
		mine := driver.LaneHolds(lane, l.lane, key)
		if mine && l.applied(from) {
			return true
		}
		if mine {
			l.lane = lane
			held = append(held, l)
		}
		return false
	})
	return held
}

// prepare reads what is there before any lane comes, so that a takeover need
// not wait for it. What fails here is tried again, and told, when a lane comes.
func (d *deadLog) prepare(ctx context.Context) {
	if d.catchUp(ctx) == nil {
		d.leave()
	}
}

// catchUp reads on. A log that is not the one that was read before, because it
// was made again or lost its end, is read from its beginning. Without an error it
// is the caller's turn, who ends it with leave.
func (d *deadLog) catchUp(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	same, err := d.readOn(ctx)
	if err == nil && !same {
		d.forget()
		_, err = d.readOn(ctx) // nothing is known that could be different
	}
	if err != nil {
		d.leave()
	}
	return err
}

func (d *deadLog) leave() { <-d.turn }

// readOn takes in what is new: settlements first, so that each of them is of a
// dead letter that is read by the end. What settles none of ours is forgotten.
func (d *deadLog) readOn(ctx context.Context) (same bool, err error) {
	same, err = d.settlements.readOn(ctx, d.bus, settlementTopic(d.scope.Env), d.takeSettlement)
	if err != nil || !same {
		return same, err
	}
	topic := Topic{Env: d.scope.Env, Domain: DomainDLQ, Version: "v1", Subtopic: d.scope.Domain}.String()
	same, err = d.letters.readOn(ctx, d.bus, topic, d.takeLetter)
	if err != nil || !same {
		return same, err
	}
	for _, p := range d.keys {
		p.drop(d.closed)
		for i := range p.open {
			if s := d.settled[p.open[i].at]; s != nil {
				p.open[i].copy = s.GetTargetOrigin()
			}
		}
	}
	clear(d.settled)
	return true, nil
}

func (d *deadLog) takeSettlement(m *Message, err error) {
	s := new(controlv1.DeadLetterSettlement)
	if err == nil && proto.Unmarshal(m.Payload, s) == nil && s.GetOrigin() != "" { // a broken one settles nothing
		d.settled[s.GetOrigin()] = s
	}
}

func (d *deadLog) takeLetter(m *Message, _ error) {
	h := &m.Headers
	log, pos, ok := cutOrigin(h.DLQ.Origin)
	if h.DLQ.Group != d.group || !ok || m.carried() { // another's, or its place is one on another broker
		return
	}
	key := firstText(h.PartitionKey, m.Record.Key)
	p := d.keys[key]
	if p == nil {
		p = &parkedKey{}
		d.keys[key] = p
	}
	p.put(letter{at: m.Origin(), id: letterID(*h, h.DLQ.Origin), retry: h.RetryCount, lane: log, from: pos})
}

// closed reports whether a dead letter was settled by other means than a copy.
func (d *deadLog) closed(l letter) bool {
	s := d.settled[l.at]
	return s != nil && s.GetOutcome() != controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_REDRIVEN
}

// applied reports whether a letter was redriven, and its copy lies below the
// committed position of its log.
func (l *letter) applied(from uint64) bool {
	log, pos, ok := cutOrigin(l.copy)
	return ok && log == l.lane && pos < from
}

// place is how far logs were read: the last record of each.
type place map[string]mark

type mark struct {
	pos uint64
	at  time.Time
}

// readOn reads a topic from where it was left to its end. The last record of
// each log is read again: when it is not there, or another one, same is false.
func (p place) readOn(ctx context.Context, b *Bus, topic string, take func(*Message, error)) (same bool, err error) {
	from, seen := make(map[string]uint64, len(p)), make(map[string]bool, len(p))
	for log, last := range p {
		from[log] = last.pos
	}
	for m, err := range b.Read(ctx, Range{Pattern: topic, From: from}) {
		if m == nil && isGap(err) {
			continue
		}
		if m == nil {
			return false, err
		}
		last, known := p[m.Log]
		if known && !seen[m.Log] {
			if m.Pos != last.pos || !m.StoredAt.Equal(last.at) {
				return false, nil
			}
			seen[m.Log] = true
			continue
		}
		take(m, err)
		seen[m.Log] = true
		p[m.Log] = mark{m.Pos, m.StoredAt}
	}
	return ctx.Err() == nil && len(seen) >= len(p), ctx.Err()
}
