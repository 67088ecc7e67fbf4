// Command demo plays twenty years of daily bars through a small trading system
// on ampy-bus, breaks things on the way, and proves at the end that nothing was
// lost, reordered or applied twice. Without options it needs nothing: it runs a
// broker of its own.
//
//	go run ./examples/go/demo                              all of it
//	go run ./examples/go/demo --embedded kafka             the same on a stand-in for Kafka
//	go run ./examples/go/demo --bus kafka://localhost:9092 on a broker that runs already
//	go run ./examples/go/demo oms --bus kafka://...        one service on its own
//
// It ends with 0, with 1 on an error, 2 on wrong usage, and 3 when the proof
// fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/AmpyFin/ampy-bus/examples/data"
	"github.com/AmpyFin/ampy-bus/examples/go/bars"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
)

// Exit codes.
const (
	exitOK = iota
	exitError
	exitUsage
	exitProof
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var err error
	if len(args) > 0 && services()[args[0]] != nil {
		err = runService(ctx, args[0], args[1:], stderr)
	} else {
		err = runDemo(ctx, args, stdout, stderr)
	}
	return exitCode(err, stderr)
}

func exitCode(err error, stderr io.Writer) int {
	var failed *ProofError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage // the flag package has said why
	}
	_, _ = fmt.Fprintln(stderr, "demo:", err)
	if errors.As(err, &failed) {
		return exitProof
	}
	return exitError
}

var errUsage = errors.New("usage")

// options are those of the whole demo.
type options struct {
	bus      string
	embedded string
	bars     int
	pace     time.Duration
}

func (o *options) parse(args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.bus, "bus", "", "`URL` of a broker that runs already, such as nats://localhost:4222 or kafka://localhost:9092")
	f.StringVar(&o.embedded, "embedded", "nats", "the `KIND` of the broker that runs here without --bus: nats or kafka")
	f.IntVar(&o.bars, "bars", 0, "play only the first `N` days of each index, at least 60")
	f.DurationVar(&o.pace, "pace", 10*time.Millisecond, "time from one trading week to the next")
	f.Usage = func() {
		_, _ = fmt.Fprintf(stderr, "usage: demo [--bus URL | --embedded KIND] [--bars N] [--pace D]\n       demo %s --bus URL\n", serviceNames())
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	switch {
	case f.NArg() > 0:
		return refuse(f, "unexpected argument %q", f.Arg(0))
	case embedded()[o.embedded] == nil:
		return refuse(f, "--embedded %s: use nats or kafka", o.embedded)
	case o.bars != 0 && o.bars < leastBars:
		return refuse(f, "--bars %d: at least %d, or 0 for all", o.bars, leastBars)
	case o.pace < 0:
		return refuse(f, "--pace %v: negative", o.pace)
	}
	return nil
}

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	if err := o.parse(args, stderr); err != nil {
		return err
	}
	weeks, err := bars.Weeks(data.Files, o.bars)
	if err != nil {
		return err
	}
	lease := leaseOn(o.bus)
	if o.bus == "" {
		var stop func()
		if o.bus, stop, err = embedded()[o.embedded](stdout); err != nil {
			return err
		}
		defer stop()
	}
	open, err := service.Dial(o.bus)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	s := &Session{
		Open: open, Weeks: weeks, Pace: o.pace, Out: stdout,
		Config: service.Config{
			Env: "dev", RunID: now.Format("20060102t150405"),
			Since: now.Add(-clockSlack), Lease: lease,
		},
	}
	s.StartPositions = s.child(o.bus, stderr)
	return s.Play(ctx)
}

const (
	// leastBars leaves a week for each thing that goes wrong.
	leastBars = 60
	// clockSlack covers the difference between this clock and the broker's.
	clockSlack = time.Minute
)
