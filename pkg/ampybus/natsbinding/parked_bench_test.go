package natsbinding

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	controlv1 "github.com/AmpyFin/ampy-bus/pkg/ampybus/control/v1"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// BenchmarkRestoreParked is what a member that parks keys needs from its start
// until it owns all lanes, with so many dead letters held, all of them settled.
//
//	go test -run '^$' -bench RestoreParked -benchtime 5x ./pkg/ampybus/natsbinding
func BenchmarkRestoreParked(b *testing.B) {
	url := benchServer(b)
	tr := dial(b, Config{URL: url})
	publishWarmOn(b, tr, testTopic)
	held := 0
	for _, n := range []int{0, 10_000, 100_000} {
		fillDeadLetters(b, tr, held, n)
		held = n
		for _, shares := range []int{1, 8} {
			b.Run(fmt.Sprintf("letters=%d/shares=%d", n, shares), func(b *testing.B) {
				for range b.N {
					benchRestore(b, url, shares)
				}
			})
		}
	}
}

func publishWarmOn(b *testing.B, tr driver.Transport, topic string) {
	b.Helper()
	if o := outcomes(b, tr, driver.Record{Topic: topic, Value: []byte("x")})[0]; o.Err != nil {
		b.Fatal(o.Err)
	}
}

// benchGroupName is the group of BenchmarkRestoreParked: dead letters are its.
const benchGroupName = "parks"

// fillDeadLetters stores dead letters from to n with their settlements.
func fillDeadLetters(b *testing.B, tr driver.Transport, from, n int) {
	b.Helper()
	var all sync.WaitGroup
	slots := make(chan struct{}, 512)
	send := func(r driver.Record) {
		slots <- struct{}{}
		all.Add(1)
		tr.Publish([]driver.Record{r}, func(_ int, o driver.Outcome) {
			if o.Err != nil {
				b.Error(o.Err)
			}
			<-slots
			all.Done()
		})
	}
	for i := from; i < n; i++ {
		key := "K" + strconv.Itoa(i%benchKeys)
		hs := append(benchHeaders(key, i),
			driver.Header{Name: ampybus.HeaderDLQReason, Value: "handler: refused"},
			driver.Header{Name: ampybus.HeaderDLQTopic, Value: testTopic},
			driver.Header{Name: ampybus.HeaderDLQGroup, Value: benchGroupName},
			driver.Header{Name: ampybus.HeaderDLQAttempts, Value: "5"},
			driver.Header{Name: ampybus.HeaderDLQAt, Value: "2025-09-05T19:30:00Z"},
			driver.Header{Name: ampybus.HeaderDLQOrigin, Value: "AMPY_DEV_ORDERS:" + strconv.Itoa(i+1)})
		send(driver.Record{Topic: "ampy.dev.dlq.v1.orders", Key: key, Headers: hs, Value: make([]byte, 256)})
		s, err := proto.Marshal(&controlv1.DeadLetterSettlement{
			Origin: "AMPY_DEV_DLQ:" + strconv.Itoa(i+1), ConsumerGroup: benchGroupName, PartitionKey: key,
			Outcome: controlv1.SettlementOutcome_SETTLEMENT_OUTCOME_DISCARDED, SettledAt: timestamppb.Now(),
		})
		if err != nil {
			b.Fatal(err)
		}
		send(driver.Record{Topic: "ampy.dev.control.v1.dlq_settlements", Key: key, Headers: benchHeaders(key, i), Value: s})
	}
	all.Wait()
}

// owned tells when so many lanes are assigned.
type owned struct {
	mu   sync.Mutex
	left int
	all  chan struct{}
}

func (*owned) Published(ampybus.PublishEvent) {}
func (*owned) Consumed(ampybus.ConsumeEvent)  {}

func (o *owned) Noticed(n ampybus.Notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n.Kind == ampybus.NoticeAssigned {
		if o.left--; o.left == 0 {
			close(o.all)
		}
	}
}

func benchRestore(b *testing.B, url string, shares int) {
	b.StopTimer()
	o := &owned{left: shares, all: make(chan struct{})}
	bus := ampybus.New(dial(b, Config{URL: url}), ampybus.Options{Observer: o})
	ctx, stop := context.WithTimeout(b.Context(), time.Minute)
	defer stop()
	ended := make(chan error, 1)
	b.StartTimer()
	go func() {
		ended <- bus.Consume(ctx, ampybus.Consumer{Pattern: "ampy.dev.orders.>", Group: benchGroupName, Shares: shares},
			func(context.Context, *ampybus.Message) error { return nil })
	}()
	select {
	case <-o.all:
	case <-ctx.Done():
		b.Fatal("not all lanes are owned after a minute")
	}
	b.StopTimer()
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	b.StartTimer()
}
