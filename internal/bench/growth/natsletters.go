package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

const (
	ordersTopic   = "ampy.dev.orders.v1.requests"
	ordersPattern = "ampy.dev.orders.>"
	lettersTopic  = "ampy.dev.dlq.v1.orders"
	settledTopic  = "ampy.dev.control.v1.dlq_settlements"
	// parkGroup is whose dead letters they are.
	parkGroup = "parks"
)

// orders is a load of orders whose keys no dead letter has.
func orders(count int) bench.Load {
	return bench.Load{
		Topic: ordersTopic, Schema: "ampy.orders.v1.OrderRequest", Producer: "growth", Source: "growth", Key: "free",
		Keys: quickKeys, Count: count, PayloadBytes: small,
	}
}

func letterColumns() []Column {
	return []Column{total("start ms"), total("client heap MB"), each("client µs/msg of other keys")}
}

func settledLetters() sweep {
	return sweep{
		curve: Curve{Name: "letters", Title: "NATS, settled dead letters that a starting member reads", X: "dead letters", Columns: letterColumns()},
		xs:    []int{1_000, 10_000, 100_000}, keep: true, rounds: 2,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			return r.start(ctx, x, func(i int) string { return "K" + strconv.Itoa(i%256) }, true)
		},
	}
}

func parkedKeys() sweep {
	return sweep{
		curve: Curve{Name: "parked-keys", Title: "NATS, parked keys, one open dead letter each", X: "parked keys", Columns: letterColumns()},
		xs:    []int{1, 100, 1_000, 10_000, 100_000}, keep: true, rounds: 2,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			return r.start(ctx, x, func(i int) string { return "K" + strconv.Itoa(i) }, false)
		},
	}
}

func parkedMessages() sweep {
	return sweep{
		curve: Curve{Name: "parked-messages", Title: "NATS, open dead letters of one parked key", X: "dead letters", Columns: letterColumns()},
		xs:    []int{1, 100, 1_000, 10_000, 100_000}, keep: true, rounds: 2,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			return r.start(ctx, x, func(int) string { return "K" }, false)
		},
	}
}

// start is the time until a new member of a group that parks keys owns its
// lane, with so many dead letters held, and what messages of other keys cost it.
func (r *rig) start(ctx context.Context, x int, key func(int) string, settled bool) ([]float64, error) {
	seen := newAssignments()
	bus, err := r.nats(natsbinding.Config{Bus: ampybus.Options{Observer: seen}})
	if err != nil {
		return nil, err
	}
	defer bus.Close()
	l := orders(20_000)
	if _, err := r.publish(ctx, bench.Bus{Bus: bus}, l); err != nil {
		return nil, err
	}
	if err := bury(bus.Transport(), r.held, x, key, settled); err != nil {
		return nil, err
	}
	r.held = x
	began, owned := time.Now(), make(chan time.Duration, 1)
	done := seen.await(1)
	go func() { <-done; owned <- time.Since(began) }()
	// A group begins anew: its position is of this load's first order.
	c, err := r.work(ctx, l.Count, member{bus, ampybus.Consumer{Pattern: ordersPattern, Group: parkGroup}})
	if err != nil {
		return nil, err
	}
	return []float64{millis(<-owned), mega(c.peak.live), c.clientMicros()}, nil
}

// bury stores dead letters from to n, and their settlements.
func bury(t driver.Transport, from, n int, key func(int) string, settled bool) error {
	b := &burial{t: t, slots: make(chan struct{}, 1024)}
	for i := from; i < n; i++ {
		b.send(deadLetter(i, key(i)))
		if settled {
			r, err := settlement(i, key(i))
			if err != nil {
				return err
			}
			b.send(r)
		}
	}
	return b.wait()
}

// burial publishes records, many at once.
type burial struct {
	t     driver.Transport
	slots chan struct{}
	all   sync.WaitGroup
	mu    sync.Mutex
	err   error
}

func (b *burial) send(r driver.Record) {
	b.slots <- struct{}{}
	b.all.Add(1)
	b.t.Publish([]driver.Record{r}, func(_ int, o driver.Outcome) {
		if o.Err != nil {
			b.mu.Lock()
			b.err = o.Err
			b.mu.Unlock()
		}
		<-b.slots
		b.all.Done()
	})
}

func (b *burial) wait() error {
	b.all.Wait()
	return b.err
}

// deadLetter is one of an order that the group could not handle.
func deadLetter(i int, key string) driver.Record {
	h := ampybus.NewHeaders("ampy.orders.v1.OrderRequest", "growth", "growth", key)
	h.Topic, h.ProducedAt = lettersTopic, time.Now().UTC()
	hs := append(ampybus.EncodeHeaders(h),
		driver.Header{Name: ampybus.HeaderDLQReason, Value: "handler: refused"},
		driver.Header{Name: ampybus.HeaderDLQTopic, Value: ordersTopic},
		driver.Header{Name: ampybus.HeaderDLQGroup, Value: parkGroup},
		driver.Header{Name: ampybus.HeaderDLQAttempts, Value: "5"},
		driver.Header{Name: ampybus.HeaderDLQAt, Value: h.ProducedAt.Format(time.RFC3339Nano)},
		driver.Header{Name: ampybus.HeaderDLQOrigin, Value: "AMPY_DEV_ORDERS:" + strconv.Itoa(i+1)})
	return driver.Record{Topic: lettersTopic, Key: key, Headers: hs, Value: make([]byte, 256)}
}

func settlement(i int, key string) (driver.Record, error) {
	value, err := proto.Marshal(&controlv1.DeadLetterSettlement{
		Origin: "AMPY_DEV_DLQ:" + strconv.Itoa(i+1), ConsumerGroup: parkGroup, PartitionKey: key,
		Outcome: controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_DISCARDED, SettledAt: timestamppb.Now(),
	})
	if err != nil {
		return driver.Record{}, fmt.Errorf("settle dead letter: %w", err)
	}
	h := ampybus.NewHeaders("ampy.control.v1.DeadLetterSettlement", "growth", "growth", key)
	h.Topic, h.ProducedAt = settledTopic, time.Now().UTC()
	return driver.Record{Topic: settledTopic, Key: key, Headers: ampybus.EncodeHeaders(h), Value: value}, nil
}
