package kafkabinding

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// fetchWait is how long a broker holds a request back that has nothing.
	fetchWait = 500 * time.Millisecond
	// maxFetches are under way at once, to as many brokers.
	maxFetches = 4
)

// place is a partition.
type place struct {
	topic     string
	partition int32
}

func (p place) log() string { return logName(p.topic, p.partition) }

func (p place) list() map[string][]int32 { return map[string][]int32{p.topic: {p.partition}} }

// feed reads partitions from positions that it is told. Only the goroutine that
// polls changes what is read, so a poll never returns records of a position
// that was given up; others leave it their orders.
type feed struct {
	cl    *kgo.Client
	swell swell
	lanes map[place]*lane // what is read for a group; the polling goroutine's own

	bell   chan struct{} // a token: look again whether to poll
	mu     sync.Mutex
	orders []func()
	wake   context.CancelFunc // of the poll that is waiting
}

func newFeed(c Config, f *packer) (*feed, error) {
	reset := kgo.NoResetOffset()
	if mutant.On("reset-offset-silently") {
		reset = kgo.NewOffset().AtStart()
	}
	fd := &feed{lanes: make(map[place]*lane), bell: make(chan struct{}, 1)}
	cl, err := kgo.NewClient(append(c.common(),
		kgo.ConsumeResetOffset(reset),
		kgo.FetchMaxWait(fetchWait),
		kgo.MaxConcurrentFetches(maxFetches),
		// Positions of control records end windows too.
		kgo.KeepControlRecords(),
		kgo.WithDecompressor(fetchDecompressor{f, fd}),
		kgo.WithPools(new(slabs)),
	)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrConfig, err)
	}
	fd.cl = cl
	cl.UpdateFetchMaxBytes(fd.swell.limits())
	return fd, nil
}

// fetchDecompressor is a packer that sees how large what is fetched becomes, and
// sets how much the next fetches may bring.
type fetchDecompressor struct {
	*packer
	fd *feed
}

// Decompress implements kgo.Decompressor.
func (f fetchDecompressor) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	b, err := f.packer.Decompress(src, codec)
	if err == nil && codec != kgo.CodecNone {
		f.fd.swell.note(len(src), len(b))
		f.fd.cl.UpdateFetchMaxBytes(f.fd.swell.limits())
	}
	return b, err
}

// order leaves f to the goroutine that polls, and interrupts its waiting.
func (fd *feed) order(f func()) {
	fd.mu.Lock()
	defer fd.mu.Unlock()
	fd.orders = append(fd.orders, f)
	if fd.wake != nil {
		fd.wake()
	}
	fd.ring()
}

// ring makes a poll that waits for hunger ask again.
func (fd *feed) ring() { token(fd.bell) }

// poll carries out orders and, once there is hunger, waits for records; then it
// takes all that the client has read ahead. It returns when ctx ends, too.
func (fd *feed) poll(ctx context.Context, hungry func() bool) kgo.Fetches {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	patience := time.NewTicker(idlePatience)
	defer patience.Stop()
	for {
		fd.obey()
		if !hungry() {
			select {
			case <-fd.bell:
			case <-patience.C:
			case <-ctx.Done():
				return nil
			}
			continue
		}
		if fd.listens(cancel) {
			break
		}
	}
	fs := fd.cl.PollFetches(ctx)
	fd.mu.Lock()
	fd.wake = nil
	fd.mu.Unlock()
	return fs
}

// obey carries out what others left.
func (fd *feed) obey() {
	fd.mu.Lock()
	orders := fd.orders
	fd.orders = nil
	fd.mu.Unlock()
	for _, f := range orders {
		f()
	}
}

// listens lets the next order call wake; false when there is one already.
func (fd *feed) listens(wake context.CancelFunc) bool {
	fd.mu.Lock()
	defer fd.mu.Unlock()
	if len(fd.orders) > 0 {
		return false
	}
	fd.wake = wake
	return true
}

// start begins at an offset; a start of what is read already begins anew.
func (fd *feed) start(p place, at uint64) {
	fd.cl.RemoveConsumePartitions(p.list())
	fd.cl.ResumeFetchPartitions(p.list())
	fd.cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{
		p.topic: {p.partition: kgo.NewOffset().At(int64(at))},
	})
}

func (fd *feed) stop(p place) { fd.cl.RemoveConsumePartitions(p.list()) }

func (fd *feed) pause(p place) { fd.cl.PauseFetchPartitions(p.list()) }

// resume goes on with a paused partition, at the offset that comes next. The
// client sends a broker one fetch at a time: where all others are at their end,
// the one under way may wait there for fetchWait. To set the offset, though it
// is as it was, ends that one.
func (fd *feed) resume(p place, at uint64, othersWait bool) {
	fd.cl.ResumeFetchPartitions(p.list())
	if othersWait && !mutant.On("resume-behind-a-wait") {
		fd.cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{
			p.topic: {p.partition: {Epoch: -1, Offset: int64(at)}},
		})
	}
}

func (fd *feed) close() { fd.cl.Close() }
