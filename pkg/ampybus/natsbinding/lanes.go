package natsbinding

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Lanes implements driver.Transport. Records and Bytes are the whole stream's,
// also where pattern selects a part of it.
func (t *Transport) Lanes(ctx context.Context, group, pattern string) ([]driver.LaneState, error) {
	if t.isClosed() {
		return nil, fmt.Errorf("list lanes: %w", driver.ErrClosed)
	}
	infos, err := t.overlapping(ctx, pattern)
	if err != nil {
		return nil, fmt.Errorf("list lanes: %w", err)
	}
	shares := 1
	if group != "" {
		if shares, err = t.sharesOf(ctx, group); err != nil {
			return nil, fmt.Errorf("list lanes of group %s: %w", group, err)
		}
	}
	var lanes []driver.LaneState
	for _, info := range infos {
		state := driver.LaneState{
			Lane: info.Config.Name, Log: info.Config.Name,
			First: info.State.FirstSeq, Next: info.State.LastSeq + 1,
			Records: info.State.Msgs, Bytes: info.State.Bytes,
		}
		if group == "" {
			if state.Pending, err = t.count(ctx, info, pattern); err != nil {
				return nil, fmt.Errorf("list lanes: %w", err)
			}
			lanes = append(lanes, state)
			continue
		}
		for k := range shares {
			lane := state
			known, err := t.groupState(ctx, group, k, shares, &lane)
			if err != nil {
				return nil, fmt.Errorf("list lanes of group %s: %w", group, err)
			}
			if known {
				lanes = append(lanes, lane)
			}
		}
	}
	return lanes, nil
}

// sharesOf is the number of lanes into which a group divides each stream.
func (t *Transport) sharesOf(ctx context.Context, group string) (int, error) {
	if !plainName.MatchString(group) {
		return 0, fmt.Errorf("%w: Group: %q is not a group name", driver.ErrConfig, group)
	}
	kv, err := t.js.KeyValue(ctx, leaseBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return 1, nil
	}
	if err != nil {
		return 0, requestError("open the lease bucket", err)
	}
	var e rosterEntry
	_, err = t.readEntry(ctx, kv, rosterKey(group), &e)
	return max(e.Shares, 1), err
}

// groupState adds what the lease and the durable of a share say.
func (t *Transport) groupState(ctx context.Context, group string, share, shares int, s *driver.LaneState) (known bool, err error) {
	name := durableName(group, share, shares)
	info, err := t.consumerInfo(ctx, s.Log, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false, nil
	}
	if err != nil {
		return false, requestError("read durable "+name+" of "+s.Log, err)
	}
	s.Lane = driver.LaneOf(s.Log, share, shares)
	s.Committed = floorOf(info)
	// What of it belongs to other shares is not known without reading it.
	s.Pending = (info.NumPending + uint64(info.NumAckPending) + uint64(shares) - 1) / uint64(shares)
	return true, t.leaseState(ctx, group, s)
}

func (t *Transport) leaseState(ctx context.Context, group string, s *driver.LaneState) error {
	kv, err := t.js.KeyValue(ctx, leaseBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	if err != nil {
		return requestError("open the lease bucket", err)
	}
	e, _, err := t.readLease(ctx, kv, leaseKey(group, s.Lane))
	if err != nil {
		return err
	}
	s.Owner = e.Member
	if e.Floor > s.Committed {
		s.Committed = e.Floor
	}
	return nil
}

// count is the number of records on pattern that a stream holds.
func (t *Transport) count(ctx context.Context, info *jetstream.StreamInfo, pattern string) (uint64, error) {
	fs := filters(info.Config.Subjects, pattern)
	if sameStrings(fs, info.Config.Subjects) {
		return info.State.Msgs, nil
	}
	n := uint64(0)
	for _, f := range fs {
		err := t.guard(ctx, "$JS.API.STREAM.INFO."+info.Config.Name, func(ctx context.Context) error {
			s, err := t.js.Stream(ctx, info.Config.Name)
			if err != nil {
				return err
			}
			part, err := s.Info(ctx, jetstream.WithSubjectFilter(f))
			if err != nil {
				return err
			}
			for _, held := range part.State.Subjects {
				n += held
			}
			return nil
		})
		if err != nil {
			return 0, requestError("count records on "+f, err)
		}
	}
	return n, nil
}
