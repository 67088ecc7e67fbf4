package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// claimPause paces claims that the coordinator refuses.
const claimPause = 50 * time.Millisecond

// claimLoop makes lanes of what the group gives to this member.
func (s *source) claimLoop() {
	for {
		select {
		case <-s.claims:
		case <-s.ctx.Done():
			return
		}
		for s.ctx.Err() == nil {
			s.mu.Lock()
			met := s.met
			s.mu.Unlock()
			err := s.claimAll()
			if err == nil {
				if met {
					s.isJoined.Do(func() { close(s.joined) })
				}
				break
			}
			if !errors.Is(err, errNotYet) {
				s.trouble(err)
			}
			pause(s.ctx, claimPause)
		}
	}
}

var errNotYet = errors.New("the group is changing")

// claimAll claims what is this member's and no lane yet.
func (s *source) claimAll() error {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	if silent, _ := s.beat.silent(time.Now()); silent > s.c.Lease/2 {
		return nil // watch asks again when the coordinator is heard
	}
	s.mu.Lock()
	wanted := make(map[string][]int32)
	for p := range s.mine {
		if s.lanes[p] == nil {
			wanted[p.topic] = append(wanted[p.topic], p.partition)
		}
	}
	s.mu.Unlock()
	if len(wanted) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, min(s.c.Lease, apiTimeout))
	defer cancel()
	ws, gaps, err := s.claimsFor(ctx, wanted)
	if err != nil {
		return requestError("claim lanes", err)
	}
	refused := false
	for p, err := range s.writeOnce(ctx, ws) {
		if err != nil {
			refused = true
			continue
		}
		for _, w := range ws {
			if w.place == p {
				s.own(w, gaps[p])
			}
		}
	}
	if refused {
		return errNotYet
	}
	return nil
}

// claimsFor reads where the group is on the wanted partitions, and what is left
// of them.
func (s *source) claimsFor(ctx context.Context, wanted map[string][]int32) ([]write, map[place]uint64, error) {
	var topics []string
	for topic := range wanted {
		topics = append(topics, topic)
	}
	committed, err := s.adm.FetchOffsetsForTopics(ctx, s.c.Group, topics...)
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the group's positions: %w", err)
	}
	// Asked once: who waits for the claim to end can give lanes away meanwhile.
	first, err := listOffsetsOnce(ctx, s.adm.ListStartOffsets, topics...)
	if err != nil {
		return nil, nil, fmt.Errorf("read the logs' beginnings: %w", err)
	}
	next, err := listOffsetsOnce(ctx, s.adm.ListEndOffsets, topics...)
	if err != nil {
		return nil, nil, fmt.Errorf("read the logs' ends: %w", err)
	}
	var ws []write
	gaps := make(map[place]uint64)
	for _, p := range places(wanted) {
		at, _ := committed.Lookup(p.topic, p.partition)
		start, ok := first.Lookup(p.topic, p.partition)
		end, _ := next.Lookup(p.topic, p.partition)
		if !ok {
			return nil, nil, fmt.Errorf("%s: %w", p.log(), errNotYet)
		}
		w := s.claimOf(p, at, uint64(start.Offset), uint64(end.Offset))
		w.end = uint64(end.Offset)
		if w.low < uint64(start.Offset) {
			gaps[p] = uint64(start.Offset)
		}
		ws = append(ws, w)
	}
	return ws, gaps, nil
}

// claimOf is the claim on one partition, from the position where the group is,
// or where it is to begin.
func (s *source) claimOf(p place, at kadm.OffsetResponse, start, end uint64) write {
	prior, known := decodeClaim(at.Metadata)
	w := write{place: p, low: start}
	w.claim = prior.succeed(known, s.owner, s.c.Member, uint64(time.Now().UnixMilli()))
	switch {
	case at.At < 0:
		w.low = max(start, s.starts[p])
	case uint64(at.At) > end:
		// The topic was deleted and made again, or lost its end with a broker.
		s.trouble(fmt.Errorf("%s ends at %d, before the group's position %d: records are lost; the group goes on at %d", p.log(), end, at.At, start))
	default:
		w.low = uint64(at.At)
	}
	if known && prior.open && prior.owner != s.owner {
		w.started = prior.started
	}
	return w
}

// own makes a lane of a claim that the coordinator accepted. start is where the
// log begins, if that is behind the position.
func (s *source) own(w write, start uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mine[w.place] || s.lanes[w.place] != nil {
		return
	}
	l := &lane{place: w.place, name: w.log(), unpack: unpacker{log: w.log()}, claim: w.claim, committed: w.low, fetched: w.low}
	ev := l.event(driver.Assigned)
	ev.From, ev.Crashes, ev.Started = w.low, w.claim.crashes, w.started
	s.lanes[l.place], s.names[l.name] = l, l
	s.tell(ev)
	if start > l.fetched {
		if !mutant.On("skip-gap") {
			l.ahead.add(step{gapFrom: l.fetched, gapTo: start})
		}
		l.fetched = start
	}
	l.caughtUp = l.fetched >= w.end
	s.feed.order(func() { s.feedLane(l) })
}
