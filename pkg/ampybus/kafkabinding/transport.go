package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// maxBuffered bounds records that the client holds. The bus bounds what it
	// hands over; records of uncertain outcome come on top.
	maxBuffered      = 100_000
	maxBufferedBytes = 256 << 20
)

// Transport is one connection to a cluster. It implements driver.Transport and
// is safe for concurrent use.
type Transport struct {
	cfg    Config
	log    *slog.Logger
	cl     *kgo.Client // publishes and asks
	adm    *kadm.Client
	topics *topicTable
	open   *openCalls
	outbox outbox
	acks   acks
	// batches is asked by the client from its own goroutines.
	batches batchLimits
	packer  *packer   // of the clients that read
	spare   sync.Pool // of *sending

	mu       sync.Mutex
	closed   bool
	children map[child]struct{} // open sources and readers
}

// child is something opened on a transport that ends with it.
type child interface {
	shut(ctx context.Context) error
}

var _ driver.Transport = (*Transport)(nil)

func newTransport(c Config) (*Transport, error) {
	codec, err := c.codec()
	if err != nil {
		return nil, err
	}
	t := &Transport{cfg: c, log: c.Logger, children: make(map[child]struct{}), packer: newPacker()}
	t.outbox.produce = (*sending).produce
	t.batches.broker.Store(defaultBatchBytes)
	opts := c.common()
	if mutant.On("no-idempotence") {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	t.cl, err = kgo.NewClient(append(opts,
		kgo.RequiredAcks(kgo.AllISRAcks()), // with idempotence, the client's default
		kgo.RecordPartitioner(c.partitioner()),
		kgo.ProducerLinger(c.Linger),
		kgo.ProducerBatchMaxBytesFn(func(topic string) int32 { return int32(t.batches.of(topic)) }),
		kgo.ProducerBatchCompression(codec),
		kgo.MaxBufferedRecords(maxBuffered),
		kgo.MaxBufferedBytes(maxBufferedBytes),
		// A topic that an operator removed is one that may come back.
		kgo.UnknownTopicRetries(-1),
		// For the packer, which uses this client's decompressor.
		kgo.WithPools(t.packer), kgo.MaxDecompressBatchBytes(maxUnpacked),
	)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrConfig, err)
	}
	t.packer.inner = t.cl.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	t.adm = kadm.NewClient(t.cl)
	t.topics = newTopicTable(t)
	t.open = newOpenCalls(c.AckTimeout)
	return t, nil
}

// Name is "kafka".
func (t *Transport) Name() string { return "kafka" }

// Close ends what was opened on the transport, then the connection. Publishes
// still unsettled settle with driver.ErrUncertain.
func (t *Transport) Close(ctx context.Context) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	open := t.children
	t.children = nil
	t.mu.Unlock()

	var wg sync.WaitGroup
	errs := make(chan error, len(open))
	for c := range open {
		wg.Go(func() { errs <- c.shut(ctx) })
	}
	wg.Wait()
	close(errs)
	err := error(nil)
	for e := range errs {
		err = errors.Join(err, e)
	}
	t.stop()
	return err
}

// stop ends the client, and settles what it leaves open.
func (t *Transport) stop() {
	t.topics.close()
	t.open.close()
	t.cl.Close()
}

// Hold implements driver.Holder.
func (t *Transport) Hold() { t.outbox.hold() }

// Release implements driver.Holder.
func (t *Transport) Release() { t.outbox.release() }

func (t *Transport) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

// ready tells why a call cannot be made.
func (t *Transport) ready(ctx context.Context) error {
	if t.isClosed() {
		return driver.ErrClosed
	}
	return ctx.Err()
}

// adopt ties c to the transport's life. It reports false on a closed one.
func (t *Transport) adopt(c child) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.children[c] = struct{}{}
	return true
}

func (t *Transport) release(c child) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.children, c)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
