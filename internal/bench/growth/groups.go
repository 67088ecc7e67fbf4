package main

import (
	"context"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

const (
	// idleTime shows leases, rosters and scans several times each.
	idleTime = 15 * time.Second
	// heldForGroups is what each group takes.
	heldForGroups = 100_000
)

func natsGroups() sweep {
	return sweep{
		curve: Curve{Name: "groups", Title: "NATS, groups on one stream, a connection each, in one process, 128 B", X: "groups", Columns: groupColumns()},
		xs:    []int{1, 2, 5, 10, 20, 50}, keep: true,
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			return r.groups(ctx, barsTopic, x, 1, func(o ampybus.Observer) (*ampybus.Bus, error) {
				return r.nats(natsbinding.Config{Bus: ampybus.Options{Observer: o}})
			})
		},
	}
}

func groupColumns() []Column {
	return []Column{
		noted("delivered msg/s"), each("client µs/delivery"), each("broker µs/delivery"), each("heap MB/group"), each("goroutines/group"),
		total("idle requests/s"), total("idle client ms/s"), total("idle broker ms/s"),
	}
}

// groups has x groups take the same messages, each on a connection of its own,
// and then leaves as many idle. Each has so many lanes.
func (r *rig) groups(ctx context.Context, topic string, x, lanes int, connect func(ampybus.Observer) (*ampybus.Bus, error)) ([]float64, error) {
	seen, before := newAssignments(), memoryNow()
	groups := make([]member, x)
	for i := range groups {
		bus, err := connect(seen)
		if err != nil {
			return nil, err
		}
		defer closeAll(bus)
		groups[i] = member{bus, ampybus.Consumer{Pattern: topic, Group: newGroup()}}
	}
	if r.held == 0 {
		l := on(topic, bars(heldForGroups, quickKeys, small))
		if _, err := r.publish(ctx, bench.Bus{Bus: groups[0].bus}, l); err != nil {
			return nil, err
		}
		r.held = l.Count
	}
	con, err := r.work(ctx, r.held, groups...)
	if err != nil {
		return nil, err
	}
	for i := range groups {
		groups[i].Group, groups[i].StartNew = newGroup(), true
	}
	requests, client, broker, err := r.idling(ctx, groups, seen.await(x*lanes))
	return []float64{
		con.rate(), con.clientMicros(), con.brokerMicros(),
		mega(con.peak.live) / float64(x), float64(con.peak.goroutines-min(before.goroutines, con.peak.goroutines)) / float64(x),
		requests, millis(client), millis(broker),
	}, err
}

// idling is the background load of groups that have nothing to do, once all are
// open.
func (r *rig) idling(ctx context.Context, groups []member, open <-chan struct{}) (requests float64, client, broker time.Duration, err error) {
	working, quit := context.WithCancel(ctx)
	var all sync.WaitGroup
	var ended error
	all.Go(func() { ended = consumeAll(working, groups, func() {}) })
	select {
	case <-open:
		requests, client, broker, err = r.idle(ctx, idleTime)
	case <-ctx.Done():
		err = ctx.Err()
	}
	quit()
	all.Wait()
	if err == nil {
		err = ended
	}
	return requests, client, broker, err
}
