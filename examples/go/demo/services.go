package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/AmpyFin/ampy-bus/examples/data"
	"github.com/AmpyFin/ampy-bus/examples/go/bars"
	"github.com/AmpyFin/ampy-bus/examples/go/broker"
	"github.com/AmpyFin/ampy-bus/examples/go/ensemble"
	"github.com/AmpyFin/ampy-bus/examples/go/features"
	"github.com/AmpyFin/ampy-bus/examples/go/monitor"
	"github.com/AmpyFin/ampy-bus/examples/go/oms"
	"github.com/AmpyFin/ampy-bus/examples/go/positions"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// services are those that can run on their own.
func services() map[string]service.Run {
	return map[string]service.Run{
		bars.Name: playBars, features.Name: features.Run, ensemble.Name: ensemble.Run,
		oms.Name: oms.Run, broker.Name: broker.Run, positions.Name: positions.Run,
		monitor.Name: func(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
			return monitor.New().Run(ctx, bus, c)
		},
	}
}

func serviceNames() string {
	return strings.Join(slices.Sorted(maps.Keys(services())), "|")
}

// playBars publishes all bars, ten weeks a second.
func playBars(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	weeks, err := bars.Weeks(data.Files, 0)
	if err != nil {
		return err
	}
	return bars.Feed{Weeks: weeks, Pace: 100 * time.Millisecond}.Run(ctx, bus, c)
}

// refuse says what is wrong with the arguments, and how they should be.
func refuse(f *flag.FlagSet, format string, args ...any) error {
	_, _ = fmt.Fprintf(f.Output(), format+"\n", args...)
	f.Usage()
	return errUsage
}

// runService runs one service until it is told to end.
func runService(ctx context.Context, name string, args []string, stderr io.Writer) error {
	var (
		c     service.Config
		bus   string
		since string
		tied  bool
	)
	f := flag.NewFlagSet("demo "+name, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&bus, "bus", "nats://localhost:4222", "`URL` of the broker")
	f.StringVar(&c.Env, "env", "dev", "environment: dev, paper or prod")
	f.StringVar(&c.RunID, "run", "demo", "`name` of the session, the same for all its services")
	f.StringVar(&c.Instance, "instance", name+"-1", "`name` of this instance")
	f.StringVar(&since, "since", "", "`time` at which the session begins, RFC 3339; empty: all history")
	f.DurationVar(&c.Lease, "lease", 0, "how long a killed instance keeps others waiting; 0: 10s")
	f.BoolVar(&tied, "tied", false, "end when standard input ends, as it does with the parent process")
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsage
	case f.NArg() > 0:
		return refuse(f, "unexpected argument %q", f.Arg(0))
	}
	if since != "" {
		if c.Since, err = time.Parse(time.RFC3339Nano, since); err != nil {
			return refuse(f, "--since: %v", err)
		}
	}
	open, err := service.Dial(bus)
	if err != nil {
		return err
	}
	if tied {
		var stop context.CancelFunc
		ctx, stop = context.WithCancel(ctx)
		go func() {
			defer stop()
			_, _ = io.Copy(io.Discard, os.Stdin)
		}()
	}
	return service.Host(ctx, open, name, services()[name], c)
}
