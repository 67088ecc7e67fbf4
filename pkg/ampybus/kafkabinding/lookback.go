package kafkabinding

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// lookBackTime is how far back repeats of another process are recognised:
	// the window of JetStream's default.
	lookBackTime = 2 * time.Minute
	// lookBackRecords bounds it for each Kafka topic: a busy one delays a new
	// process's first publish by about 50 ms.
	lookBackRecords = 20_000
)

// learnIDs looks back, and does so again while leaders move or brokers are
// away: a topic that was just made, or whose broker has just died, is not led
// at once.
func (t *Transport) learnIDs(ctx context.Context, kt *kafkaTopic) error {
	for {
		err := t.lookBack(ctx, kt)
		if err == nil || !isOutage(err) {
			return err
		}
		if pause(ctx, claimPause); ctx.Err() != nil {
			return err
		}
	}
}

// lookBack learns the IDs of the records at the end of a topic, so that what a
// process that died had sent is known to the one that repeats it.
func (t *Transport) lookBack(ctx context.Context, kt *kafkaTopic) error {
	from, end, err := t.recent(ctx, kt.name)
	if err != nil {
		return err
	}
	left := 0
	starts := make(map[int32]kgo.Offset)
	for p, at := range from {
		if n := int(end[p] - at); n > 0 {
			left += n
			starts[p] = kgo.NewOffset().At(at)
		}
	}
	if left == 0 || mutant.On("no-look-back") {
		return nil
	}
	cl, err := kgo.NewClient(append(t.cfg.common(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{kt.name: starts}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond),
		// The last record may be the mark of a transaction's end.
		kgo.KeepControlRecords(),
		kgo.WithDecompressor(t.packer))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	unpack := unpacker{}
	for open := maps.Clone(starts); len(open) > 0; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err0(); err != nil {
			return err
		}
		for _, e := range fs.Errors() {
			return fmt.Errorf("read partition %d: %w", e.Partition, e.Err)
		}
		fs.EachPartition(func(fp kgo.FetchTopicPartition) {
			for _, r := range fp.Records {
				last := r.Offset >= end[fp.Partition]-1 // before a batch's record is let go
				if !r.Attrs.IsControl() {
					unpack.learn(kt, t.packer.step(r, uint64(from[fp.Partition])), fp.Partition, end[fp.Partition])
				}
				if last {
					delete(open, fp.Partition)
				}
			}
		})
	}
	return nil
}

// learn notes the IDs of a step's records before end.
func (u *unpacker) learn(kt *kafkaTopic, s step, partition int32, end int64) {
	u.open([]step{s}, s.load().records, func(d *driver.Delivery) {
		if int64(d.Pos) < end && d.ID != "" {
			kt.ids.learn(d.ID, partition, int64(d.Pos))
		}
	})
}

// recent is the part of each partition that is worth knowing.
func (t *Transport) recent(ctx context.Context, topic string) (from, end map[int32]int64, err error) {
	ends, err := listOffsetsOnce(ctx, t.adm.ListEndOffsets, topic)
	if err != nil {
		return nil, nil, err
	}
	since, err := listOffsetsOnce(ctx, func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
		return t.adm.ListOffsetsAfterMilli(ctx, time.Now().Add(-lookBackTime).UnixMilli(), topics...)
	}, topic)
	if err != nil {
		return nil, nil, err
	}
	from, end = make(map[int32]int64), make(map[int32]int64)
	each := int64(lookBackRecords / max(1, len(ends[topic])))
	for p, o := range ends[topic] {
		end[p] = o.Offset
		from[p] = max(since[topic][p].Offset, o.Offset-each)
	}
	return from, end, nil
}
