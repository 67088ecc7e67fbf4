package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// commitPause paces a commit that is tried again: the group is between two
// generations, or its coordinator is moving.
const commitPause = 25 * time.Millisecond

// Commit moves the lane's committed position up to low. While the coordinator
// cannot be reached it tries on, until ctx ends or the lane is lost.
func (s *source) Commit(ctx context.Context, name string, epoch, low uint64) error {
	l, err := s.held(name, epoch)
	if err != nil {
		return fmt.Errorf("commit lane %s below %d: %w", name, low, err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if low <= l.committed {
		return nil
	}
	w := s.moved(l, low)
	if err := s.write(ctx, l, w.low, w.claim); err != nil {
		return fmt.Errorf("commit lane %s below %d: %w", name, w.low, err)
	}
	return nil
}

// moved is what to write when a lane is finished below low. l.writing is held.
func (s *source) moved(l *lane, low uint64) write {
	s.mu.Lock()
	defer s.mu.Unlock()
	low = l.beyond(low)
	c := l.claim
	c.crashes = 0
	if c.started <= low {
		c.started = 0
	}
	if mutant.On("commit-max") {
		low = max(low, l.fetched)
	}
	return write{place: l.place, low: low, claim: c}
}

// CommitAll implements driver.BatchCommitter: one request for all. What the
// coordinator does not take at once goes the way of a single lane.
func (s *source) CommitAll(ctx context.Context, points []driver.Point) []error {
	s.commitOnce(ctx, slices.Clone(points))
	errs := make([]error, len(points))
	for i, p := range points {
		errs[i] = s.Commit(ctx, p.Lane, p.Epoch, p.Low) // nothing to do for most
	}
	return errs
}

// commitOnce asks once, and notes what was taken.
func (s *source) commitOnce(ctx context.Context, points []driver.Point) {
	// In the order of their names, so that two calls do not wait for each other.
	slices.SortFunc(points, func(a, b driver.Point) int { return strings.Compare(a.Lane, b.Lane) })
	var ws []write
	lanes := make(map[place]*lane)
	for _, p := range points {
		l, err := s.held(p.Lane, p.Epoch)
		if err != nil || lanes[l.place] != nil {
			continue
		}
		lanes[l.place] = l
		l.writing.Lock()
		defer l.writing.Unlock()
		if p.Low > l.committed && !s.isGone(l) {
			ws = append(ws, s.moved(l, p.Low))
		}
	}
	if len(ws) == 0 {
		return
	}
	errs := s.writeOnce(ctx, ws)
	for _, w := range ws {
		if errs[w.place] == nil {
			s.wrote(lanes[w.place], w)
		}
	}
}

// Mark implements driver.Source.
func (s *source) Mark(ctx context.Context, name string, epoch, behind uint64) error {
	l, err := s.held(name, epoch)
	if err != nil {
		return fmt.Errorf("mark in lane %s below %d: %w", name, behind, err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	c := l.claim
	c.started = behind
	if err := s.write(ctx, l, l.committed, c); err != nil {
		return fmt.Errorf("mark in lane %s below %d: %w", name, behind, err)
	}
	return nil
}

// held is the lane that this member owns at epoch.
func (s *source) held(name string, epoch uint64) (*lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.names[name]
	switch {
	case s.ending != nil:
		return nil, driver.ErrClosed
	case l == nil || l.gone || l.claim.epoch != epoch:
		return nil, driver.ErrFenced
	}
	return l, nil
}

// write commits a position and a claim, in one piece. l.writing is held.
func (s *source) write(ctx context.Context, l *lane, low uint64, c claim) error {
	for {
		if s.isGone(l) {
			return driver.ErrFenced
		}
		err := s.writeOnce(ctx, []write{{place: l.place, low: low, claim: c}})[l.place]
		switch {
		case err == nil:
			s.wrote(l, write{low: low, claim: c})
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isDenied(err), errors.Is(err, kerr.OffsetMetadataTooLarge), errors.Is(err, kerr.UnknownTopicOrPartition):
			return requestError("write the position", err)
		}
		pause(ctx, commitPause)
	}
}

// wrote notes what is committed.
func (s *source) wrote(l *lane, w write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.claim = w.claim
	l.finished(w.low)
	s.revise()
}

func (s *source) isGone(l *lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.gone
}

type write struct {
	place
	low     uint64
	claim   claim
	started uint64 // of the owner before, when it vanished
	end     uint64 // of the log, when the lane was claimed
}

// writeOnce commits several lanes with the membership as it is now. The
// coordinator refuses a member that is no longer in the group, or of an
// earlier generation.
func (s *source) writeOnce(ctx context.Context, ws []write) map[place]error {
	errs := make(map[place]error, len(ws))
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = s.c.Group
	req.MemberID, req.Generation = s.group.GroupMetadata()
	if req.MemberID == "" {
		for _, w := range ws {
			errs[w.place] = kerr.UnknownMemberID
		}
		return errs
	}
	byTopic := make(map[string]int)
	for _, w := range ws {
		i, ok := byTopic[w.topic]
		if !ok {
			i = len(req.Topics)
			byTopic[w.topic] = i
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = w.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = w.partition, int64(w.low)
		p.Metadata = kmsg.StringPtr(w.claim.encode())
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
		errs[w.place] = errNoWord
	}
	resp, err := req.RequestWith(ctx, s.group)
	if err != nil {
		for p := range errs {
			errs[p] = err
		}
		return errs
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			errs[place{t.Topic, p.Partition}] = kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return errs
}

var errNoWord = errors.New("the coordinator did not answer for the partition")

// release gives a lane away in order: the next owner begins with a clean count.
func (s *source) release(ctx context.Context, l *lane) {
	l.writing.Lock()
	defer l.writing.Unlock()
	s.mu.Lock()
	gone, low := l.gone, l.beyond(l.committed)
	s.mu.Unlock()
	if gone {
		return
	}
	c := l.claim
	c.open, c.crashes, c.started = false, 0, 0
	_ = s.write(ctx, l, low, c) // else the next owner counts a crash
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(l)
}

// releaseAll gives all lanes away at once.
func (s *source) releaseAll(ctx context.Context) {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	s.mu.Lock()
	owned := s.owned()
	clear(s.mine)
	s.mu.Unlock()
	for _, l := range owned {
		if ctx.Err() == nil {
			s.release(ctx, l)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range owned {
		s.drop(l)
	}
}
