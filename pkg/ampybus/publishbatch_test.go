package ampybus

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// holdingLog notes how much it was given while it was held.
type holdingLog struct {
	*faultyLog
	held, whole atomic.Int32
}

func (l *holdingLog) Hold() { l.held.Add(1) }

func (l *holdingLog) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held.Add(-1)
	l.whole.Store(int32(len(l.tried)))
}

// batchOf has n messages of keys that take turns.
func batchOf(n, keys int) (es []Envelope) {
	for i := range n {
		es = append(es, testEnvelope("k"+strconv.Itoa(i%keys), strconv.Itoa(i)))
	}
	return es
}

func TestABatchGoesOutAtOnceWithOneCallForEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &holdingLog{faultyLog: newFaultyLog(1, 0)}
		b := New(l, Options{})
		if err := b.PublishBatch(t.Context(), batchOf(30, 3)...); err != nil {
			t.Error(err)
		}
		if len(l.tried) != 3 || l.whole.Load() != 3 || l.held.Load() != 0 {
			t.Errorf("%d calls of 3 keys, %d of them before the release, %d holds left", len(l.tried), l.whole.Load(), l.held.Load())
		}
		_ = b.Close()
	})
}

func TestABatchMayBeLargerThanWhatMayBeUnsettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFaultyLog(1, 0)
		b := New(l, Options{MaxPending: 7})
		if err := b.PublishBatch(t.Context(), batchOf(100, 3)...); err != nil || len(l.stored) != 100 {
			t.Errorf("PublishBatch: %v, stored %d", err, len(l.stored))
		}
		last := make(map[string]int)
		for _, r := range l.stored {
			i, _ := strconv.Atoi(string(r.Value))
			if before, ok := last[r.Key]; ok && i < before {
				t.Errorf("%d of %s is stored behind %d", i, r.Key, before)
			}
			last[r.Key] = i
		}
		_ = b.Close()
	})
}

func TestABatchWhoseContextEndsTellsWhatWasNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFaultyLog(1, 0)
		l.down = true
		b := New(l, Options{MaxPending: 4, PublishCeiling: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := b.PublishBatch(ctx, batchOf(10, 2)...)
		notStarted := 0
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			var failed *PublishError
			if errors.As(e, &failed) && failed.Attempts == 0 && !errors.Is(e, ErrUncertain) {
				notStarted++
			}
		}
		if notStarted != 6 || !errors.Is(err, ErrUncertain) {
			t.Errorf("%d of 6 not started, and the others uncertain: %v", notStarted, err)
		}
		_ = b.Close()
	})
}

func TestConcurrentBatchesOfOneKeyHaveOneCallUnsettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFaultyLog(1, 0)
		b := New(l, Options{})
		ended := make(chan error, 8)
		for range cap(ended) {
			go func() { ended <- b.PublishBatch(t.Context(), batchOf(200, 5)...) }()
		}
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if len(l.broken) > 0 || len(l.stored) != 200*cap(ended) {
			t.Errorf("stored %d of %d; %v", len(l.stored), 200*cap(ended), l.broken)
		}
		_ = b.Close()
	})
}
