package kafkabinding

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// bounds is what a partition holds: positions in [first, next).
func (t *Transport) bounds(ctx context.Context, p place) (first, next uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	starts, err := t.listOffsets(ctx, t.adm.ListStartOffsets, p.topic)
	if err != nil {
		return 0, 0, err
	}
	ends, err := t.listOffsets(ctx, t.adm.ListEndOffsets, p.topic)
	if err != nil {
		return 0, 0, err
	}
	return uint64(starts[p.topic][p.partition].Offset), uint64(ends[p.topic][p.partition].Offset), nil
}

// covered lists the Kafka topics that may hold topics of p, sorted.
func (t *Transport) covered(ctx context.Context, p pattern) ([]string, error) {
	req := kmsg.NewPtrMetadataRequest() // no list of topics: all
	resp, err := req.RequestWith(ctx, t.cl)
	if err != nil {
		return nil, requestError("list topics", err)
	}
	var names []string
	for _, topic := range resp.Topics {
		if topic.Topic != nil && topic.ErrorCode == 0 && !topic.IsInternal && len(topic.Partitions) > 0 && p.covers(*topic.Topic) {
			names = append(names, *topic.Topic)
		}
	}
	slices.Sort(names)
	return names, nil
}

// eachPlace lists the partitions of an answer in order.
func eachPlace(l kadm.ListedOffsets) []place {
	var ps []place
	l.Each(func(o kadm.ListedOffset) { ps = append(ps, place{o.Topic, o.Partition}) })
	slices.SortFunc(ps, comparePlaces)
	return ps
}

func comparePlaces(a, b place) int {
	if a.topic != b.topic {
		if a.topic < b.topic {
			return -1
		}
		return 1
	}
	return int(a.partition) - int(b.partition)
}

// truncate drops what a partition holds below a position.
func (t *Transport) truncate(ctx context.Context, p place, below uint64) error {
	os := make(kadm.Offsets)
	os.AddOffset(p.topic, p.partition, int64(below), -1)
	resp, err := t.adm.DeleteRecords(ctx, os)
	if err != nil {
		return err
	}
	return resp.Error()
}
