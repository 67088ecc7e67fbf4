package kafkabinding

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// offsetsQuestion is one of the ways to ask for offsets of whole topics.
type offsetsQuestion func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error)

// listOffsets asks for offsets of whole topics, and fails as a whole. While
// leaders of partitions move it asks again, until ctx ends or for apiTimeout.
func (t *Transport) listOffsets(ctx context.Context, ask offsetsQuestion, topics ...string) (kadm.ListedOffsets, error) {
	short, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	for {
		listed, err := listOffsetsOnce(short, ask, topics...)
		if !isElecting(err) {
			return listed, err
		}
		if pause(short, claimPause); short.Err() != nil {
			return listed, err
		}
	}
}

func listOffsetsOnce(ctx context.Context, ask offsetsQuestion, topics ...string) (kadm.ListedOffsets, error) {
	if len(topics) == 0 {
		return kadm.ListedOffsets{}, nil
	}
	listed, err := ask(ctx, topics...)
	if err != nil {
		return nil, err
	}
	return listed, listed.Error()
}

// isElecting: who leads the partition is just changing. A topic that is not
// there is no such case: it may have been deleted.
func isElecting(err error) bool {
	for _, k := range []error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.FencedLeaderEpoch,
		kerr.UnknownLeaderEpoch, kerr.OffsetNotAvailable,
	} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}
