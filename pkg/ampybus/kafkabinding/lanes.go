package kafkabinding

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Lanes implements driver.Transport. Counts are differences of positions: an
// upper bound where a topic is compacted, or holds topics that pattern does not
// match. Bytes are zero where the identity may not ask for them.
func (t *Transport) Lanes(ctx context.Context, group, pattern string) ([]driver.LaneState, error) {
	p, err := parsePattern(pattern)
	if err == nil {
		err = t.ready(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("list lanes of %s: %w", pattern, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*apiTimeout)
	defer cancel()
	topics, err := t.covered(ctx, p)
	if err != nil || len(topics) == 0 {
		return nil, err
	}
	first, err := t.listOffsets(ctx, t.adm.ListStartOffsets, topics...)
	if err != nil {
		return nil, requestError("list lanes", err)
	}
	next, err := t.listOffsets(ctx, t.adm.ListEndOffsets, topics...)
	if err != nil {
		return nil, requestError("list lanes", err)
	}
	var states []driver.LaneState
	b := logBounds{first: first, next: next}
	for _, pl := range eachPlace(next) {
		s := driver.LaneState{Lane: pl.log(), Log: pl.log(), First: b.of(first, pl), Next: b.of(next, pl)}
		s.Records = s.Next - s.First
		s.Pending = s.Records
		states = append(states, s)
	}
	t.addBytes(ctx, states)
	if group == "" {
		return states, nil
	}
	return t.ofGroup(ctx, group, topics, states)
}

// addBytes asks how large the partitions are.
func (t *Transport) addBytes(ctx context.Context, states []driver.LaneState) {
	set := make(kadm.TopicsSet)
	for _, s := range states {
		topic, partition := parseLog(s.Log)
		set.Add(topic, partition)
	}
	dirs, err := t.adm.DescribeAllLogDirs(ctx, set)
	if err != nil && len(dirs) == 0 {
		return
	}
	bytes := make(map[string]uint64)
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			log := logName(p.Topic, p.Partition)
			bytes[log] = max(bytes[log], uint64(max(p.Size, 0))) // replicas are equal
		})
	})
	for i := range states {
		states[i].Bytes = bytes[states[i].Log]
	}
}

// ofGroup keeps the lanes on which the group has a position.
func (t *Transport) ofGroup(ctx context.Context, group string, topics []string, all []driver.LaneState) ([]driver.LaneState, error) {
	committed, err := t.positions(ctx, group, topics)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, requestError("list lanes of group "+group, err)
	}
	var states []driver.LaneState
	for _, s := range all {
		topic, partition := parseLog(s.Log)
		at, ok := committed.Lookup(topic, partition)
		if !ok || at.At < 0 {
			continue
		}
		s.Committed = uint64(at.At)
		s.Pending = 0
		if from := max(s.Committed, s.First); from < s.Next {
			s.Pending = s.Next - from
		}
		if c, known := decodeClaim(at.Metadata); known && c.open {
			s.Owner = c.member
		}
		states = append(states, s)
	}
	return states, nil
}

// positions are those that a group has committed. While its coordinator moves,
// or a new cluster makes room for groups, they are asked for again.
func (t *Transport) positions(ctx context.Context, group string, topics []string) (kadm.OffsetResponses, error) {
	for {
		committed, err := t.adm.FetchOffsetsForTopics(ctx, group, topics...)
		if err == nil {
			err = committed.Error()
		}
		if !isMoving(err) || ctx.Err() != nil {
			return committed, err
		}
		pause(ctx, claimPause)
	}
}

// isMoving: no broker coordinates the group at this moment.
func isMoving(err error) bool {
	return errors.Is(err, kerr.CoordinatorNotAvailable) || errors.Is(err, kerr.CoordinatorLoadInProgress) ||
		errors.Is(err, kerr.NotCoordinator)
}
