package main

import (
	"context"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// idleTime shows leases, rosters and scans several times each.
const idleTime = 15 * time.Second

func natsGroups() sweep {
	return sweep{
		curve: Curve{Name: "groups", Title: "NATS, groups on one stream, all in one process, 128 B", X: "groups", Columns: groupColumns()},
		xs:    []int{1, 2, 5, 10, 20, 50}, keep: true,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			bus, err := r.nats(natsbinding.Config{})
			if err != nil {
				return nil, err
			}
			defer bus.Close()
			return r.groups(ctx, bus, barsTopic, x)
		},
	}
}

func groupColumns() []Column {
	return []Column{
		noted("delivered msg/s"), each("client µs/delivery"), each("broker µs/delivery"), each("heap MB/group"), each("goroutines/group"),
		total("idle requests/s"), total("idle client ms/s"), total("idle broker ms/s"),
	}
}

// heldForGroups is what each group takes.
const heldForGroups = 100_000

func (r *rig) groups(ctx context.Context, bus *ampybus.Bus, topic string, x int) ([]float64, error) {
	if r.held == 0 {
		l := bars(heldForGroups, quickKeys, small)
		l.Topic = topic
		if _, err := r.publish(ctx, bench.Bus{Bus: bus}, l); err != nil {
			return nil, err
		}
		r.held = l.Count
	}
	groups := make([]member, x)
	for i := range groups {
		groups[i] = member{bus, ampybus.Consumer{Pattern: topic, Group: newGroup()}}
	}
	before := memoryNow()
	con, err := r.work(ctx, r.held, groups...)
	if err != nil {
		return nil, err
	}
	for i := range groups {
		groups[i].StartNew = true
	}
	requests, client, broker, err := r.idling(ctx, groups)
	return []float64{
		con.rate(), con.clientMicros(), con.brokerMicros(),
		mega(con.peak.live) / float64(x), float64(con.peak.goroutines-min(before.goroutines, con.peak.goroutines)) / float64(x),
		requests, millis(client), millis(broker),
	}, err
}

// idling is the background load of groups that have nothing to do.
func (r *rig) idling(ctx context.Context, groups []member) (requests float64, client, broker time.Duration, err error) {
	working, quit := context.WithCancel(ctx)
	var all sync.WaitGroup
	var ended error
	all.Go(func() { ended = consumeAll(working, groups, func() {}) })
	requests, client, broker, err = r.idle(ctx, idleTime)
	quit()
	all.Wait()
	if err == nil {
		err = ended
	}
	return requests, client, broker, err
}
