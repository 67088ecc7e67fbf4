package kafkabinding

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/brokertest"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// P5, on three real nodes: leaders are killed while records are published and
// consumed, and then two of three: acknowledgements stop. Nothing that was
// acknowledged is lost, stored twice or out of order.
func TestThreeNodesLoseNothingAcknowledged(t *testing.T) {
	const keys, kills = 30, 3
	kafka := brokertest.StartKafka(t, 3)
	c := Config{Brokers: kafka.Addrs(), Replicas: 3, Partitions: 6, Logger: quiet(), minAge: 50 * time.Millisecond, discover: time.Second}
	tr, err := Dial(c)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, _, err := persist(ctx, tr, numbered("warm", 0, 1)); err != nil {
		t.Fatal(err)
	}
	stop, finish := context.WithCancel(ctx)
	var stored atomic.Int64
	counts := make([]int, keys)
	var writers sync.WaitGroup
	for k := range keys {
		writers.Go(func() {
			for n := 0; stop.Err() == nil; n += 10 {
				if _, _, err := persist(ctx, tr, numbered(fmt.Sprintf("k%d", k), n, 10)); err != nil {
					t.Error(err)
					return
				}
				counts[k] = n + 10
				stored.Add(10)
				pause(stop, 20*time.Millisecond)
			}
		})
	}
	for i := range kills {
		pause(ctx, time.Second)
		resp, err := tr.adm.ListTopics(ctx, "ampy.dev.orders.v1")
		if err != nil {
			t.Fatal(err)
		}
		leader := int(resp["ampy.dev.orders.v1"].Partitions[int32(i)].Leader) - 1
		kafka.Kill(leader)
		before := stored.Load()
		for ctx.Err() == nil && stored.Load() < before+1000 {
			pause(ctx, 50*time.Millisecond)
		}
		kafka.Restart(leader)
	}
	pause(ctx, 3*time.Second)
	kafka.Kill(0)
	kafka.Kill(1)
	pause(ctx, 2*time.Second) // what was on its way
	before := stored.Load()
	pause(ctx, 5*time.Second)
	if n := stored.Load() - before; n > 0 {
		t.Errorf("%d records were acknowledged with one replica of three alive", n)
	}
	kafka.Restart(0)
	kafka.Restart(1)
	finish()
	writers.Wait()
	checkStored(ctx, t, c, counts)
	t.Logf("%d records, %d leaders killed", stored.Load(), kills)
}

// checkStored reads all, and expects each key's records once and in order.
func checkStored(ctx context.Context, t *testing.T, c Config, counts []int) {
	t.Helper()
	reader, err := Dial(c)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(ctx)
	r, err := reader.Read(ctx, driver.ReadConfig{Pattern: "ampy.dev.orders.v1.>"})
	if err != nil {
		t.Fatal(err)
	}
	next := make(map[string]int)
	for {
		ds, err := r.Next(ctx)
		if err != nil {
			break
		}
		for _, d := range ds {
			key, n := split(string(d.Value))
			if n != next[key] {
				t.Errorf("key %s: %d is stored where %d was due", key, n, next[key])
			}
			next[key] = n + 1
		}
	}
	for k, n := range counts {
		if got := next[fmt.Sprintf("k%d", k)]; got < n {
			t.Errorf("key k%d has %d records, %d were acknowledged", k, got, n)
		}
	}
}
