package natsbinding

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// sharesHeld is the length of the log that BenchmarkShares reads.
const sharesHeld = 40_000

// BenchmarkShares reads one log with groups that divide it, alone and with
// several members, each on a connection of its own. With handlers that do
// nothing it shows what dividing costs; with handlers that wait, as on a
// database, what it brings. The raw ways are what was not chosen. All read the
// whole log: with less, what lanes fetch ahead would count as cost.
//
//	go test -run '^$' -bench Shares -benchtime 1x -count 3 ./pkg/ampybus/natsbinding
func BenchmarkShares(b *testing.B) {
	url := benchServer(b)
	fill(b, url, sharesHeld)
	for _, c := range []struct {
		shares, members int
		takes           time.Duration
	}{
		{1, 1, 0},
		{2, 1, 0},
		{2, 2, 0},
		{4, 1, 0},
		{4, 4, 0},
		{8, 1, 0},
		{8, 8, 0},
		{1, 1, 5 * time.Millisecond},
		{2, 2, 5 * time.Millisecond},
		{4, 4, 5 * time.Millisecond},
		{8, 8, 5 * time.Millisecond},
	} {
		b.Run(fmt.Sprintf("shares=%d/members=%d/handler=%v", c.shares, c.members, c.takes), func(b *testing.B) {
			for range b.N {
				benchShares(b, url, c.shares, c.members, c.takes)
			}
		})
	}
	for _, consumers := range []int{1, 8} {
		b.Run(fmt.Sprintf("way=raw-filter-lists/consumers=%d", consumers), func(b *testing.B) {
			for range b.N {
				benchFilterLists(b, url, consumers)
			}
		})
	}
}

// benchShares measures from the first record that a member handles to the last
// one of all.
func benchShares(b *testing.B, url string, shares, members int, takes time.Duration) {
	group := "s" + strconv.FormatInt(benchRun.Add(1), 10)
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var handled atomic.Int64
	first := make(chan struct{})
	var work sync.WaitGroup
	buses := make([]*ampybus.Bus, members)
	for i := range buses {
		buses[i] = ampybus.New(dial(b, Config{URL: url}), ampybus.Options{})
	}
	for _, bus := range buses {
		work.Go(func() {
			err := bus.Consume(ctx, ampybus.Consumer{
				Pattern: benchPattern, Group: group, Shares: shares, Workers: 8, Dedupe: ampybus.NoDedupe{},
			}, func(context.Context, *ampybus.Message) error {
				if takes > 0 {
					<-time.After(takes)
				}
				switch handled.Add(1) {
				case 1:
					close(first)
				case sharesHeld:
					stop()
				}
				return nil
			})
			if err != nil {
				b.Error(err)
			}
		})
	}
	<-first
	began := startClock(b)
	<-ctx.Done()
	began.reportFor(b, sharesHeld)
	work.Wait()
}

// benchFilterLists divides the keys among consumers by lists of subjects.
func benchFilterLists(b *testing.B, url string, consumers int) {
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	subjects := make([][]string, consumers)
	for i, k := range benchTopics() {
		subjects[i%consumers] = append(subjects[i%consumers], k.topic)
	}
	if consumers == 1 {
		subjects = [][]string{{benchPattern}}
	}
	var n atomic.Int64
	done := make(chan struct{})
	began := startClock(b)
	for _, filters := range subjects {
		c, err := js.CreateConsumer(b.Context(), "AMPY_DEV_BARS", jetstream.ConsumerConfig{
			Durable: "raw" + strconv.FormatInt(benchRun.Add(1), 10), AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 20_000,
			FilterSubjects: filters,
		})
		if err != nil {
			b.Fatal(err)
		}
		cc, err := c.Consume(func(m jetstream.Msg) {
			_ = m.Ack()
			if n.Add(1) == sharesHeld {
				close(done)
			}
		}, jetstream.PullMaxMessages(10_000))
		if err != nil {
			b.Fatal(err)
		}
		defer cc.Stop()
	}
	<-done
	began.reportFor(b, sharesHeld)
}
