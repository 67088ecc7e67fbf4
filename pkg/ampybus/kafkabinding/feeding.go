package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// fetch brings records from the feed to their lanes. Lanes are known to the
// feed by themselves, not by their name: what comes for one that was given up
// never reaches its successor.
func (s *source) fetch() {
	feeding := s.feed.lanes
	for s.ctx.Err() == nil {
		fs := s.feed.poll(s.ctx, s.hungry)
		for _, f := range fs.Errors() {
			s.fetchFailed(feeding[place{f.Topic, f.Partition}], f.Err)
		}
		s.mu.Lock()
		s.polled = time.Now()
		s.mu.Unlock()
		fs.EachPartition(func(fp kgo.FetchTopicPartition) {
			if l := feeding[place{fp.Topic, fp.Partition}]; l != nil && len(fp.Records) > 0 {
				s.bring(l, fp.Records, fp.HighWatermark)
			}
		})
	}
}

// idlePatience is how long a lane that has come to the end of its log waits,
// while others have much to do, before somebody looks whether there is more.
const idlePatience = 250 * time.Millisecond

// hungry reports whether to fetch more: when all lanes together hold little,
// when one that could go on holds nothing, or when one that has come to the end
// of its log has had no look for a while. What that brings of the others may be
// more than they should hold; then they are paused.
func (s *source) hungry() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting, busy, idle := load{}, false, false
	for _, l := range s.lanes {
		waiting.add(l.ahead.waiting)
		switch {
		case l.draining || l.held:
		case len(l.ahead.steps) > 0 || len(l.ready) > 0 || l.opening:
			busy = true
		case l.paused:
		case !l.caughtUp:
			return true
		default:
			idle = true
		}
	}
	return waiting.records < aheadRecords && waiting.bytes < aheadBytes ||
		idle && (!busy || time.Since(s.polled) > idlePatience)
}

// feedLane, unfeed and flow are orders to the feed.
func (s *source) feedLane(l *lane) {
	s.mu.Lock()
	gone, at := l.gone, l.fetched
	s.mu.Unlock()
	if gone {
		return
	}
	s.feed.lanes[l.place] = l
	s.feed.start(l.place, at)
}

func (s *source) unfeed(l *lane) {
	if s.feed.lanes[l.place] == l {
		delete(s.feed.lanes, l.place)
		s.feed.stop(l.place)
	}
}

func (s *source) flow(l *lane) {
	if s.feed.lanes[l.place] != l {
		return
	}
	s.mu.Lock()
	at, wait := l.fetched, true
	for _, o := range s.lanes {
		wait = wait && (o == l || o.held || o.caughtUp)
	}
	s.mu.Unlock()
	s.feed.resume(l.place, at, wait)
}

// bring adds records of one partition, whose log ends at the given offset, to
// its lane.
func (s *source) bring(l *lane, rs []*kgo.Record, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.gone {
		return
	}
	if !l.held && l.full() {
		l.held = true
		s.feed.pause(l.place)
	}
	from := l.fetched
	next := uint64(rs[len(rs)-1].Offset) + 1
	l.fetched, l.caughtUp = next, int64(next) >= end
	for _, r := range rs {
		if !r.Attrs.IsControl() {
			l.ahead.add(s.t.packer.step(r, from))
		}
	}
	s.wakes()
}

// decode makes deliveries of what comes next on a lane. Records that the
// group's pattern does not match only move the position. The lock is held, but
// not while it works.
func (s *source) decode(l *lane) {
	for len(l.ready) == 0 && !l.waits() && !l.ahead.steps[0].isGap() {
		steps, ready := l.ahead.steps, make([]driver.Delivery, 0, min(l.ahead.waiting.records, eventRecords))
		l.opening = true
		s.mu.Unlock()
		done, used := l.unpack.open(steps, eventRecords, func(d *driver.Delivery) {
			if d.Topic == l.wanted || s.p.wants(d.Topic) {
				ready = append(ready, *d)
				l.wanted = d.Topic
			}
		})
		s.mu.Lock()
		if l.opening = false; l.gone {
			return
		}
		l.ahead.done(done, used)
		l.ready = ready
	}
}

// fetchFailed deals with a partition that cannot be read, or with the feed as a
// whole (l is nil).
func (s *source) fetchFailed(l *lane, err error) {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
	case l == nil:
		s.trouble(requestError("fetch", err))
	case isOutOfRange(err):
		s.askBounds(l)
	default:
		s.trouble(requestError("fetch "+l.name, err))
		s.askBounds(l) // and begin again behind what was brought
	}
}

// askBounds finds out what became of the position that a lane has come to.
func (s *source) askBounds(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.gone || l.asking {
		return
	}
	l.asking = true
	s.work.Go(func() {
		for {
			pause(s.ctx, claimPause)
			if s.ctx.Err() != nil || s.isGone(l) {
				return
			}
			first, next, err := s.t.bounds(s.ctx, l.place)
			if err == nil {
				s.resume(l, first, next)
				return
			}
			s.trouble(requestError("find the bounds of "+l.name, err))
		}
	})
}

// resume goes on with a lane whose log holds [first, next).
func (s *source) resume(l *lane, first, next uint64) {
	s.mu.Lock()
	if l.fetched > next {
		s.mu.Unlock()
		s.trouble(fmt.Errorf("%s ends at %d, where the group had read to %d: records are lost", l.name, next, l.fetched))
		s.lose(l, driver.ErrUnavailable)
		token(s.claims)
		return
	}
	defer s.mu.Unlock()
	if l.gone {
		return
	}
	l.asking = false
	l.caughtUp = max(first, l.fetched) >= next
	if first > l.fetched {
		l.ahead.add(step{gapFrom: l.fetched, gapTo: first})
		l.fetched = first
		s.wakes()
	}
	s.feed.order(func() { s.feedLane(l) })
}

// isOutOfRange: the log does not hold the position, or held another record
// there before a broker lost it.
func isOutOfRange(err error) bool {
	var lost *kgo.ErrDataLoss
	return errors.Is(err, kerr.OffsetOutOfRange) || errors.As(err, &lost)
}
