// Command growth measures what messaging costs as one number grows: keys, lag,
// groups, lanes, streams, symbols, dead letters. It runs NATS servers of its own
// as child processes, so that their CPU and memory can be told from the
// client's, and takes a running Kafka as it is.
//
//	go run ./internal/bench/growth -sweep keys,groups -save growth.json
//	go run ./internal/bench/growth -from growth.json -svg docs/growth
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	if spec := os.Getenv(serverEnv); spec != "" {
		os.Exit(serve(spec, os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

// options are what the command line asks for.
type options struct {
	sweeps          string
	most            int
	dir             string
	kafka           string
	brokerPID       int
	output          string
	save, from, svg string
}

func parse(args []string, messages io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("growth", flag.ContinueOnError)
	fs.SetOutput(messages)
	fs.StringVar(&o.sweeps, "sweep", "", "`NAMES` of sweeps, comma separated; empty: all of NATS (have: "+strings.Join(sweepNames(), ", ")+")")
	fs.IntVar(&o.most, "most", 0, "leave out points above this `NUMBER`")
	fs.StringVar(&o.dir, "dir", "", "`DIRECTORY` for the servers' data; the lag sweep needs 10 GB there")
	fs.StringVar(&o.kafka, "kafka", "", "`HOST:PORT` of a running Kafka, for sweeps whose names begin with kafka")
	fs.IntVar(&o.brokerPID, "broker-pid", 0, "process `ID` of that Kafka, to measure its CPU and memory")
	fs.StringVar(&o.output, "o", "table", "`FORMAT` of the output: table, json or markdown")
	fs.StringVar(&o.save, "save", "", "`FILE` to add the curves to, as JSON")
	fs.StringVar(&o.from, "from", "", "`FILE` to show the curves of, instead of measuring")
	fs.StringVar(&o.svg, "svg", "", "`DIRECTORY` to draw the curves into")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if !slices.Contains([]string{"table", "json", "markdown"}, o.output) {
		return o, fmt.Errorf("-o: %q is not table, json or markdown", o.output)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, messages io.Writer) error {
	o, err := parse(args, messages)
	if err != nil {
		return err
	}
	if o.from != "" {
		curves, err := load(o.from)
		if err != nil {
			return err
		}
		return o.show(out, curves...)
	}
	chosen, err := choose(o.sweeps)
	if err != nil {
		return err
	}
	for _, s := range chosen {
		curve, err := o.measure(ctx, s, messages)
		if len(curve.Points) > 0 {
			err = errors.Join(o.keep(curve), o.show(out, curve), err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.curve.Name, err)
		}
	}
	return nil
}

// keep adds a curve to the file of results.
func (o options) keep(c Curve) error {
	if o.save == "" {
		return nil
	}
	curves, err := load(o.save)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return save(o.save, replace(curves, c))
}

func (o options) show(out io.Writer, curves ...Curve) error {
	for _, c := range curves {
		var err error
		switch o.output {
		case "json":
			err = writeJSON(out, c)
		case "markdown":
			c.markdown(out)
		default:
			err = c.table(out)
		}
		if err != nil {
			return err
		}
		if o.svg != "" {
			if err := draw(filepath.Join(o.svg, c.Name+".svg"), c); err != nil {
				return err
			}
		}
	}
	return nil
}
