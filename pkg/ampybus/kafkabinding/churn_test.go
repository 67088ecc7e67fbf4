package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// I12: members join, leave and are cut off, commits are refused and the
// coordinator moves; every effect happens once and in order, and no commit is
// beyond what is done.
func TestChurnKeepsOrderAndEffects(t *testing.T) {
	churn(t, Config{Partitions: 12})
}

// The same with the group protocol of KIP-848.
func TestChurnWithServerAssignor(t *testing.T) {
	churn(t, Config{Partitions: 12, ServerAssignor: true})
}

const (
	churnKeys    = 100
	churnEach    = 200
	churnMembers = 4
	churnJoins   = 100
	churnFaults  = 20
	churnLost    = 10
	churnLease   = 600 * time.Millisecond
)

func churn(t *testing.T, base Config) {
	srv := startEmbedded(t)
	b := newBroker(srv, base)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	store := newLedger(t)
	var joins, lost atomic.Int64
	var members sync.WaitGroup
	stop, finish := context.WithCancel(ctx)
	for m := range churnMembers {
		tr := b.Connect(t)
		t.Cleanup(func() { _ = tr.Close(context.Background()) })
		members.Go(func() {
			for round := 0; stop.Err() == nil; round++ {
				joins.Add(1)
				cut := round%8 == 7 && m > 0 && lost.Load() < 2*churnLost
				stay := time.Duration(100+50*((m+round)%5)) * time.Millisecond
				if joins.Load() > churnJoins && lost.Load() >= churnLost {
					cut, stay = false, time.Hour
				}
				before := func() {}
				if cut {
					before = func() {
						heal := b.Cut(t, tr)
						pause(stop, 2*churnLease)
						heal()
					}
				}
				lost.Add(serve(stop, t, tr, store, stay, before))
			}
		})
	}
	faults := srv.srv.Native().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.IllegalGeneration, Count: churnFaults})
	var moves atomic.Int64
	go func() {
		for range churnFaults {
			if pause(stop, 250*time.Millisecond); stop.Err() != nil {
				return
			}
			srv.srv.Native().RehashCoordinators()
			moves.Add(1)
		}
	}()
	writer := b.Connect(t)
	t.Cleanup(func() { _ = writer.Close(context.Background()) })
	for n := range churnEach / 10 {
		var all sync.WaitGroup
		for k := range churnKeys {
			all.Go(func() {
				if _, _, err := persist(ctx, writer, numbered(fmt.Sprintf("k%d", k), n*10, 10)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	for ctx.Err() == nil && (store.done() < churnKeys*churnEach || joins.Load() < churnJoins || lost.Load() < churnLost || moves.Load() < churnFaults) {
		pause(ctx, 20*time.Millisecond)
	}
	finish()
	members.Wait()
	if n := store.done(); n != churnKeys*churnEach {
		t.Errorf("%d effects, want %d", n, churnKeys*churnEach)
	}
	t.Logf("%d joins, %d lanes lost, %d commits refused, %d moves of the coordinator, %d records again, %d fenced",
		joins.Load(), lost.Load(), faults.Hits(), moves.Load(), store.again, store.fenced)
	if joins.Load() < churnJoins || lost.Load() < churnLost || faults.Hits() < churnFaults || moves.Load() < churnFaults {
		t.Errorf("too few faults: %d joins, %d lost, %d refused commits, %d moves", joins.Load(), lost.Load(), faults.Hits(), moves.Load())
	}
}

// serve is one membership: it applies and commits what comes. It returns how
// often it lost a lane.
func serve(ctx context.Context, t *testing.T, tr driver.Transport, store *ledger, stay time.Duration, before func()) (lost int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	src, err := tr.Open(ctx, driver.GroupConfig{Group: "g", Pattern: "ampy.dev.>", Lease: churnLease, MaxSpan: 500})
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("open: %v", err)
		}
		return 0
	}
	leave := time.AfterFunc(stay, func() {
		before()
		end, done := context.WithTimeout(context.Background(), 10*time.Second)
		defer done()
		_ = src.Close(end)
	})
	defer leave.Stop()
	over := context.AfterFunc(ctx, func() { _ = src.Close(context.Background()) })
	defer over()
	for ev := range src.Events() {
		switch ev.Kind {
		case driver.Assigned:
			store.assigned(ev)
		case driver.Lost:
			lost++
		case driver.Draining:
			ev.Done()
		case driver.Gap:
			t.Errorf("gap [%d, %d) in %s", ev.From, ev.To, ev.Lane)
		case driver.Records:
			low := uint64(0)
			for i := range ev.Records {
				if !store.apply(ev.Lane, ev.Epoch, &ev.Records[i]) {
					break
				}
				low = ev.Records[i].Pos + 1
			}
			if low == 0 {
				continue
			}
			wait, done := context.WithTimeout(ctx, churnLease)
			err := src.Commit(wait, ev.Lane, ev.Epoch, low)
			done()
			switch {
			case err == nil:
				store.committed(ev.Lane, low)
			case errors.Is(err, driver.ErrFenced), errors.Is(err, driver.ErrClosed), wait.Err() != nil:
			default:
				t.Errorf("commit: %v", err)
			}
		}
	}
	return lost
}
