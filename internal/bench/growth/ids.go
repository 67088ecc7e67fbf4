package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

// natsIDs shows what the server keeps for a publish id within the window, which
// is 2 minutes for bars: the points must be through by then.
func natsIDs() sweep {
	return sweep{
		curve: Curve{Name: "ids", Title: "NATS, publish ids in the server's window, 128 B", X: "ids", Columns: []Column{
			noted("publish msg/s"), each("broker µs/msg"), total("broker heap MB"), total("broker memory MB"),
		}},
		xs: []int{100_000, 300_000, 1_000_000, 3_000_000},
		point: func(ctx context.Context, r *rig, x int) ([]float64, error) {
			bus, err := r.nats(natsbinding.Config{})
			if err != nil {
				return nil, err
			}
			defer bus.Close()
			c, err := r.publish(ctx, bench.Bus{Bus: bus}, bars(x, quickKeys, small))
			if err != nil {
				return nil, err
			}
			return []float64{c.rate(), c.brokerMicros(), mega(c.after.Heap), mega(c.after.Resident)}, nil
		},
	}
}

// dedupeWindow shows what a consumer's memory of applied messages costs.
func dedupeWindow() sweep {
	return sweep{
		curve: Curve{Name: "dedupe", Title: "client, identities that NewMemoryDedupe keeps", X: "identities", Columns: []Column{
			each("ns/message"), total("client heap MB"),
		}},
		xs: []int{10_000, 100_000, 1_000_000, 10_000_000},
		point: func(ctx context.Context, _ *rig, x int) ([]float64, error) {
			debug.FreeOSMemory()
			before := liveNow()
			d := ampybus.NewMemoryDedupe(x)
			began := time.Now()
			for range 2 * x { // it is full half of the time
				m := &ampybus.Message{}
				m.Headers.MessageID = ampybus.NewHeaders("s", "p", "s", "k").MessageID
				seen, err := d.Seen(ctx, m)
				if err == nil {
					err = d.Mark(ctx, m)
				}
				if err != nil || seen != ampybus.SeenNot {
					return nil, errors.Join(err, fmt.Errorf("dedupe: seen %d", seen))
				}
			}
			took := time.Since(began)
			held := liveNow() - before
			runtime.KeepAlive(d)
			return []float64{float64(took.Nanoseconds()) / float64(2*x), mega(held)}, nil
		},
	}
}

func liveNow() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
