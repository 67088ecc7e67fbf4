package ampybus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// A parked key has dead letters that its later messages must not overtake:
// they are dead-lettered behind them, in order, until every one of them was
// redriven and applied, in order, or discarded. Nothing about it is stored
// apart: the dead-letter log and the settlements say which ones are open, so a
// restart or another member finds the same.

// letter is an open dead letter: where it lies, whose it is, and which copy of
// the message died: only a copy with a higher retry_count was redriven.
type letter struct {
	at    string // origin of the dead letter itself
	id    string
	retry int
	lane  string // where the message died first: what lies before, or in another
	from  uint64 // lane, is no successor of it
	copy  string // origin of its redriven copy; empty: none is known
}

// letterID identifies a message among its key's dead letters, even one whose
// message_id is missing.
func letterID(h Headers, origin string) string { return firstText(h.MessageID, origin) }

// behind returns the open dead letter that m must not overtake. m may run when
// there is none, and when it is the redriven copy of the oldest one: then
// redriven is true.
func (e *engine) behind(key string, m *Message) (cause string, redriven bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.parked[key]
	if p == nil {
		return "", false
	}
	i := p.first(m.Lane)
	if i < 0 || m.Pos < p.open[i].from {
		return "", false
	}
	l := p.open[i]
	if l.id == letterID(m.Headers, m.Origin()) && m.Headers.RetryCount > l.retry {
		return "", true
	}
	return l.id, false
}

// hold parks a key behind the dead letter of m, which lies at the given origin,
// and returns the message that the key now waits for.
func (e *engine) hold(key string, m *Message, at string) string {
	id := letterID(m.Headers, m.Origin())
	e.mu.Lock()
	p := e.parked[key]
	fresh := p == nil
	if fresh {
		p = &parkedKey{}
		e.parked[key] = p
	}
	p.put(letter{at: at, id: id, retry: m.Headers.RetryCount, lane: m.Lane, from: m.Pos})
	cause := p.cause()
	e.mu.Unlock()
	if fresh {
		e.watchSettlements()
		e.notice(Notice{Kind: NoticeParked, Lane: m.Lane, Key: key, Text: "parked behind " + id})
	}
	return cause
}

// applied takes the oldest of a key's open dead letters off: its redriven copy
// was applied.
func (e *engine) applied(key, lane string) {
	e.free(key, func(p *parkedKey) {
		if i := p.first(lane); i >= 0 {
			p.takeOff(i)
		}
	})
}

// discarded takes the dead letter at origin off.
func (e *engine) discarded(key, origin string) {
	e.free(key, func(p *parkedKey) {
		if i := p.place(origin); i >= 0 {
			p.takeOff(i)
		}
	})
}

// free takes dead letters off a parked key, and lets it go when none is left.
func (e *engine) free(key string, take func(*parkedKey)) {
	e.mu.Lock()
	p := e.parked[key]
	if p == nil {
		e.mu.Unlock()
		return
	}
	take(p)
	gone := len(p.open) == 0
	if gone {
		delete(e.parked, key)
		e.core.Release(key)
		e.cond.Broadcast()
	} else {
		e.core.Park(key, p.cause())
	}
	e.mu.Unlock()
	if gone {
		e.notice(Notice{Kind: NoticeReleased, Key: key, Text: "all its dead letters are settled"})
	}
}

// mayPark reports whether any topic of the pattern parks keys, and its scopes.
func (e *engine) mayPark() []Scope {
	p, _ := ParsePattern(e.c.Pattern)
	return slices.DeleteFunc(p.Scopes(), func(s Scope) bool {
		return s.Domain == DomainDLQ || !e.parksDomain(s.Domain)
	})
}

// restoredParked restores a lane's parked keys before its first message runs,
// trying on while the broker is in trouble; false when ctx has ended. A closed
// transport is not trouble that passes.
func (e *engine) restoredParked(ctx context.Context, ev driver.Event) (bool, error) {
	for attempt := 1; ; attempt++ {
		err := e.restoreParked(ctx, ev.Lane, ev.From)
		switch {
		case err == nil, ctx.Err() != nil:
			return err == nil, nil //nolint:nilerr // the end of ctx is no failure
		case errors.Is(err, ErrClosed):
			return false, fmt.Errorf("take over lane %s: %w", ev.Lane, err)
		}
		e.notice(Notice{Kind: NoticeTrouble, Lane: ev.Lane, Text: "the lane waits for its parked keys", Err: err})
		waitFor(ctx, infrastructureBackoff.Wait(attempt, globalRand{}))
	}
}

// restoreParked finds out which keys of a newly owned lane are parked. from is
// the lane's committed position.
func (e *engine) restoreParked(ctx context.Context, lane string, from uint64) error {
	if len(e.dead) == 0 {
		return nil
	}
	open := make(map[string]*parkedKey)
	for _, d := range e.dead {
		keys, err := d.parked(ctx, lane, from)
		if err != nil {
			return fmt.Errorf("restore parked keys: %w", err)
		}
		for key, p := range keys {
			if known := open[key]; known != nil {
				p.open = append(known.open, p.open...)
			}
			open[key] = p
		}
	}
	e.mu.Lock()
	for key, known := range e.parked { // of an earlier ownership, or of other lanes
		known.drop(func(l letter) bool { return l.lane == lane })
		if len(known.open) == 0 && open[key] == nil {
			delete(e.parked, key)
			e.core.Release(key)
		}
	}
	for key, p := range open {
		if known := e.parked[key]; known != nil {
			p.open = append(known.open, p.open...)
		}
		e.parked[key] = p
		e.core.Park(key, p.cause())
	}
	e.mu.Unlock()
	if len(open) > 0 {
		e.watchSettlements()
	}
	return nil
}

// watchSettlements starts to follow the settlements, once: discarding a dead
// letter lets its key go on.
func (e *engine) watchSettlements() {
	e.watch.Do(func() {
		for _, s := range e.mayPark() {
			e.background.Go(func() { e.followSettlements(settlementTopic(s.Env)) })
		}
	})
}

// settlementSlack covers the difference between this clock and the broker's.
const settlementSlack = time.Minute

func (e *engine) followSettlements(topic string) {
	start := e.settledSince.Add(-settlementSlack)
	for m, err := range e.bus.Read(e.ctx, Range{Pattern: topic, Start: start, Follow: true}) {
		if err != nil {
			if e.ctx.Err() == nil {
				e.notice(Notice{Kind: NoticeReader, Text: "following settlements of dead letters", Err: err})
			}
			continue
		}
		s := new(controlv1.DeadLetterSettlement)
		if proto.Unmarshal(m.Payload, s) != nil || s.GetConsumerGroup() != e.c.Group {
			continue
		}
		if s.GetOutcome() != controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_REDRIVEN {
			e.discarded(s.GetPartitionKey(), settledPlace(m, s.GetOrigin()))
		}
	}
}
