package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/bench"
	"github.com/AmpyFin/ampy-bus/internal/cli"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/natsbinding"
)

const (
	rareTopic   = "ampy.dev.bars.v1.XNYS.RARE"
	rareEvery   = 1000
	rarePattern = "ampy.dev.bars.v1.*.RARE"
)

func natsSymbols() sweep {
	columns := append(flowColumns(),
		each("read 1 symbol of 1/1000 ms"), each("by wildcard ms"), each("streams ms"), each("streams of 1 symbol ms"), each("lag ms"), each("doctor ms"))
	return sweep{
		curve: Curve{Name: "symbols", Title: "NATS, subjects in one stream, 128 B", X: "symbols", Columns: columns},
		xs:    []int{10, 100, 1_000, 10_000, 100_000}, rounds: 2,
		point: symbolPoint,
	}
}

func symbolPoint(ctx context.Context, r *rig, x int) ([]float64, error) {
	bus, err := r.nats(natsbinding.Config{})
	if err != nil {
		return nil, err
	}
	defer bus.Close()
	l := bars(max(200_000, x), 1, small)
	pub, err := r.publish(ctx, &spread{to: bench.Bus{Bus: bus}, topics: symbols(x), rare: rareTopic, every: rareEvery}, l)
	if err != nil {
		return nil, err
	}
	group := newGroup()
	con, err := r.work(ctx, l.Count, member{bus, ampybus.Consumer{Pattern: barsPattern, Group: group}})
	if err != nil {
		return nil, err
	}
	y := flowValues(pub, con)
	for _, pattern := range []string{rareTopic, rarePattern} {
		took, err := readAll(ctx, bus, pattern, l.Count/rareEvery)
		if err != nil {
			return nil, err
		}
		y = append(y, millis(took))
	}
	return r.commands(ctx, y, []string{"streams"}, []string{"streams", "--subject", rareTopic}, []string{"lag", "--group", group}, []string{"doctor"})
}

// readAll reads history and expects n messages.
func readAll(ctx context.Context, bus *ampybus.Bus, pattern string, n int) (time.Duration, error) {
	began := time.Now()
	for _, err := range bus.Read(ctx, ampybus.Range{Pattern: pattern}) {
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", pattern, err)
		}
		n--
	}
	if n != 0 {
		return 0, fmt.Errorf("read %s: %d messages missing", pattern, n)
	}
	return time.Since(began), nil
}

// commands times ampybusctl on the rig's server. What it finds is its affair: a
// check that fails took its time too.
func (r *rig) commands(ctx context.Context, y []float64, lines ...[]string) ([]float64, error) {
	for _, args := range lines {
		began := time.Now()
		code := cli.Main(ctx, cli.Ampybusctl(), append(args, "--nats", r.url), cli.Streams{Out: io.Discard, Err: io.Discard})
		if code != 0 && code != cli.ExitCheck {
			return nil, fmt.Errorf("ampybusctl %v: exit code %d", args, code)
		}
		y = append(y, millis(time.Since(began)))
	}
	return y, nil
}
