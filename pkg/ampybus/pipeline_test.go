package ampybus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// faultyLog is a transport whose publishes fail as its dice say: not reached,
// stored with the acknowledgement lost, refused, or late.
type faultyLog struct {
	driver.Transport
	mu     sync.Mutex
	dice   *rand.Rand
	faults float64 // share of attempts that fail
	stored []driver.Record
	ids    map[string]bool
	calls  map[string]int // unsettled calls by key
	broken []string       // promises broken by the caller
	tried  [][]string     // ids, call by call
	down   bool
	lost   int
	failed int
}

func newFaultyLog(seed uint64, faults float64) *faultyLog {
	return &faultyLog{
		dice: rand.New(rand.NewPCG(seed, 1)), faults: faults,
		ids: make(map[string]bool), calls: make(map[string]int),
	}
}

func (l *faultyLog) Name() string                { return "faulty" }
func (l *faultyLog) Limits() driver.Limits       { return driver.Limits{} }
func (l *faultyLog) Close(context.Context) error { return nil }

func (l *faultyLog) Publish(recs []driver.Record, settle func(int, driver.Outcome)) {
	l.mu.Lock()
	key := recs[0].Key
	if l.calls[key]++; l.calls[key] > 1 {
		l.broken = append(l.broken, "two unsettled calls of key "+key)
	}
	outcomes := make([]driver.Outcome, len(recs))
	stopped := false
	l.tried = append(l.tried, nil)
	for i, r := range recs {
		l.tried[len(l.tried)-1] = append(l.tried[len(l.tried)-1], r.ID)
		if stopped {
			outcomes[i].Err = driver.ErrUnavailable
			continue
		}
		outcomes[i] = l.one(r)
		stopped = outcomes[i].Err != nil
	}
	delay := time.Duration(l.dice.IntN(3)) * time.Millisecond
	l.mu.Unlock()
	report := func() {
		l.mu.Lock()
		l.calls[key]--
		l.mu.Unlock()
		for i := range recs {
			settle(i, outcomes[i])
		}
	}
	if delay == 0 {
		report()
		return
	}
	time.AfterFunc(delay, report)
}

func (l *faultyLog) one(r driver.Record) driver.Outcome {
	if l.down || l.dice.Float64() < l.faults {
		switch l.dice.IntN(4) {
		case 0:
			if !l.down {
				l.failed++
				return driver.Outcome{Err: driver.ErrTooLarge}
			}
			fallthrough
		case 1:
			return driver.Outcome{Err: driver.ErrUnavailable}
		case 2:
			if !l.down {
				l.keep(r)
				l.lost++
				return driver.Outcome{Err: driver.ErrUncertain}
			}
		}
		return driver.Outcome{Err: driver.ErrUncertain}
	}
	return driver.Outcome{Duplicate: !l.keep(r), Log: "log", Pos: uint64(len(l.stored))}
}

func (l *faultyLog) keep(r driver.Record) bool {
	if l.ids[r.ID] {
		return false
	}
	l.ids[r.ID] = true
	l.stored = append(l.stored, r)
	return true
}

// words are the outcomes of a run, by message id.
type words struct {
	mu  sync.Mutex
	all map[string][]error
}

func (w *words) done(id string) func(error) {
	return func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all[id] = append(w.all[id], err)
	}
}

func testEnvelope(key, payload string) Envelope {
	h := NewHeaders("ampy.news.v1.NewsItem", "test@1", "test", key)
	h.RunID = "run"
	return Envelope{Topic: "ampy.dev.news.v1.raw", Headers: h, Payload: []byte(payload)}
}

func TestPublishingKeepsOrderAndTellsTheTruthThroughFaults(t *testing.T) {
	var lost, failed, uncertain int
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			l := newFaultyLog(seed, 0.3)
			b := New(l, Options{PublishCeiling: 2 * time.Second})
			w := &words{all: make(map[string][]error)}
			sent := make(map[string][]string) // key: ids in order
			for i := range 200 {
				e := testEnvelope(fmt.Sprint("k", i%5), fmt.Sprint(i))
				sent[e.Headers.PartitionKey] = append(sent[e.Headers.PartitionKey], e.Headers.MessageID)
				b.PublishAsync(e, w.done(e.Headers.MessageID))
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for _, problem := range judgeRun(l, w, sent) {
				t.Errorf("seed %d: %s", seed, problem)
			}
			lost += l.lost
			failed += l.failed
			for _, errs := range w.all {
				if errors.Is(errs[0], ErrUncertain) {
					uncertain++
				}
			}
		})
	}
	if lost < 100 || failed < 100 {
		t.Errorf("vacuous: %d acknowledgements lost, %d refused", lost, failed)
	}
}

// judgeRun lists the promises that a run broke.
func judgeRun(l *faultyLog, w *words, sent map[string][]string) []string {
	problems := slices.Clone(l.broken)
	for id, errs := range w.all {
		switch {
		case len(errs) != 1:
			problems = append(problems, fmt.Sprintf("%s settled %d times", id, len(errs)))
		case errs[0] == nil && !l.ids[id]:
			problems = append(problems, id+" reported stored, and is not")
		case errs[0] != nil && !errors.Is(errs[0], ErrUncertain) && l.ids[id]:
			problems = append(problems, fmt.Sprintf("%s reported failed (%v), and is stored", id, errs[0]))
		}
	}
	at := make(map[string]int)
	for _, r := range l.stored {
		n := slices.Index(sent[r.Key], r.ID)
		if n < at[r.Key] {
			problems = append(problems, "key "+r.Key+" is out of order")
		}
		at[r.Key] = n
	}
	n := 0
	for _, ids := range sent {
		n += len(ids)
	}
	if len(w.all) != n {
		problems = append(problems, fmt.Sprintf("%d of %d settled", len(w.all), n))
	}
	return problems
}

func TestAPublishIsRetriedThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFaultyLog(1, 0)
		l.down = true
		b := New(l, Options{})
		time.AfterFunc(time.Second, func() { l.mu.Lock(); l.down = false; l.mu.Unlock() })
		e := testEnvelope("k", "x")
		if err := b.Publish(t.Context(), e.Topic, e.Headers, e.Payload); err != nil {
			t.Fatal(err)
		}
		if len(l.stored) != 1 {
			t.Errorf("stored %d", len(l.stored))
		}
		_ = b.Close()
	})
}

// Of records that go together a broker may not tell where they are stored.
func TestAForwardedRecordGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFaultyLog(1, 0)
		l.down = true
		b := New(l, Options{})
		publish := func(n int) {
			e := testEnvelope("k", "x")
			e.Headers.MessageID = fmt.Sprintf("01890000-0000-7000-8000-%012d", n)
			b.PublishAsync(e, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		publish(1) // not stored: the rest waits behind it
		l.mu.Lock()
		l.down, l.tried = false, nil
		l.mu.Unlock()
		publish(2)
		e := testEnvelope("k", "x")
		go func() {
			if _, err := b.Forward(t.Context(), Forward{Topic: e.Topic, Headers: e.Headers, ID: "forwarded"}); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		publish(3)
		publish(4)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		var sizes []int
		for _, ids := range l.tried {
			sizes = append(sizes, len(ids))
		}
		if !slices.Equal(sizes, []int{2, 1, 2}) || l.tried[1][0] != "forwarded" {
			t.Errorf("tried together: %v", l.tried)
		}
	})
}

func TestAnEndingContextWithdrawsWhatWasNotAttempted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFaultyLog(1, 0)
		l.down = true
		b := New(l, Options{PublishCeiling: time.Minute})
		first, second := testEnvelope("k", "1"), testEnvelope("k", "2")
		w := &words{all: make(map[string][]error)}
		b.PublishAsync(first, w.done("first"))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := b.Publish(ctx, second.Topic, second.Headers, second.Payload)
		if err == nil || errors.Is(err, ErrUncertain) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a message never attempted: %v", err)
		}
		l.mu.Lock()
		l.down = false
		l.mu.Unlock()
		time.Sleep(5 * time.Second)
		_ = b.Close()
		if len(l.stored) != 1 || l.stored[0].ID != first.Headers.MessageID {
			t.Errorf("stored %d records; the withdrawn one must not be", len(l.stored))
		}
	})
}

func TestAnEndingContextDuringAnAttemptIsUncertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFaultyLog(1, 0)
		l.down = true
		b := New(l, Options{PublishCeiling: time.Minute})
		e := testEnvelope("k", "1")
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := b.Publish(ctx, e.Topic, e.Headers, e.Payload); !errors.Is(err, ErrUncertain) {
			t.Errorf("Publish: %v, want uncertain", err)
		}
		l.mu.Lock()
		l.down = false
		l.mu.Unlock()
		_ = b.Close()
	})
}

func TestUnsettledPublishesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFaultyLog(1, 0)
		l.down = true
		b := New(l, Options{MaxPending: 10, PublishCeiling: time.Minute})
		var handed atomic.Int32
		go func() {
			for range 11 {
				e := testEnvelope("k", "x")
				b.PublishAsync(e, func(error) {})
				handed.Add(1)
			}
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := handed.Load(); n != 10 {
			t.Errorf("%d publishes were taken, the bound is 10", n)
		}
		l.mu.Lock()
		l.down = false
		l.mu.Unlock()
		time.Sleep(5 * time.Second)
		if handed.Load() != 11 {
			t.Errorf("the waiting publish did not go on")
		}
		_ = b.Close()
	})
}

func TestABatchWithAnInvalidMessageStoresNothing(t *testing.T) {
	l := newFaultyLog(1, 0)
	b := New(l, Options{})
	bad := testEnvelope("k", "x")
	bad.Headers.PartitionKey = ""
	err := b.PublishBatch(t.Context(), testEnvelope("k", "1"), bad)
	var fe *FieldError
	if !errors.As(err, &fe) || fe.Field != HeaderPartitionKey || len(l.stored) != 0 {
		t.Errorf("PublishBatch: %v, stored %d", err, len(l.stored))
	}
	_ = b.Close()
}

func TestAClosedBusStoresNothing(t *testing.T) {
	l := newFaultyLog(1, 0)
	b := New(l, Options{})
	_ = b.Close()
	e := testEnvelope("k", "x")
	err := b.Publish(t.Context(), e.Topic, e.Headers, e.Payload)
	if !errors.Is(err, ErrClosed) || errors.Is(err, ErrUncertain) || len(l.stored) != 0 {
		t.Errorf("Publish: %v, stored %d", err, len(l.stored))
	}
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
