package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/AmpyFin/ampy-bus/examples/go/bars"
	"github.com/AmpyFin/ampy-bus/examples/go/broker"
	"github.com/AmpyFin/ampy-bus/examples/go/ensemble"
	"github.com/AmpyFin/ampy-bus/examples/go/features"
	"github.com/AmpyFin/ampy-bus/examples/go/monitor"
	"github.com/AmpyFin/ampy-bus/examples/go/oms"
	"github.com/AmpyFin/ampy-bus/examples/go/positions"
	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Session is one play of the demo.
type Session struct {
	// Open opens a bus for each service, and one for the session itself.
	Open service.Opener
	// StartPositions starts an instance of the positions service, the one that
	// is killed.
	StartPositions func(ctx context.Context, name string) (Instance, error)
	Weeks          []bars.Week
	Pace           time.Duration
	Config         service.Config
	// Out gets the story, the table and the proof.
	Out io.Writer

	bus       *ampybus.Bus
	meter     *service.Meter
	started   time.Time
	fail      context.CancelCauseFunc
	printing  sync.Mutex
	positions Instance
	operator  chan error // the word of who repairs the dead letter
}

// Play runs the system, breaks it on the way, and proves that it held. An error
// that is a *ProofError means that it did not.
func (s *Session) Play(ctx context.Context) error {
	e, err := s.run(ctx)
	if err != nil {
		return err
	}
	s.printf("\n")
	e.table(s.Out)
	s.printf("\n")
	return e.prove(s.Out)
}

// run is Play without its verdict.
func (s *Session) run(ctx context.Context) (e *Evidence, err error) {
	ctx, s.fail = context.WithCancelCause(ctx)
	defer s.fail(nil)
	s.started = time.Now()
	s.meter = service.NewMeter(operatorName, operatorName+"-1")
	if s.bus, err = s.Open(s.meter); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.bus.Close()) }()
	if err := s.trade(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx) // the rest follows from that
		}
		return nil, err
	}
	if err := s.meter.Publish(ctx, s.bus, s.config(operatorName)); err != nil {
		return nil, err
	}
	s.say("all services have ended; reading back what the broker holds")
	return s.gather(ctx)
}

// trade runs the services until the last bar has had all its consequences.
func (s *Session) trade(ctx context.Context) (err error) {
	watch := s.host(ctx, monitor.Name, monitor.New().Run)
	defer func() { err = errors.Join(err, watch.stop()) }()
	for _, x := range []struct {
		name string
		run  service.Run
	}{
		{broker.Name, broker.Run}, {oms.Name, oms.Run}, {ensemble.Name, ensemble.Run}, {features.Name, features.Run},
	} {
		m := s.host(ctx, x.name, x.run)
		defer func() { err = errors.Join(err, m.stop()) }()
	}
	if s.positions, err = s.StartPositions(ctx, "positions-1"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.positions.Stop()) }()

	if err := s.ready(ctx); err != nil {
		return err
	}
	s.say("%d trading weeks of %d indices, one week every %v", len(s.Weeks), len(bars.Indices()), s.Pace)
	feed := bars.Feed{Weeks: s.Weeks, Pace: s.Pace, Before: s.faults()}
	if err := service.Host(ctx, s.Open, bars.Name, feed.Run, s.config(bars.Name)); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.say("all bars are published")
	if err := <-s.operator; err != nil {
		return err
	}
	return s.settle(ctx)
}

// groups are all of the system, each behind the one that it depends on.
func groups() []string {
	return []string{
		features.Name, ensemble.Name, oms.SignalsGroup, broker.Name,
		oms.FillsGroup, positions.Name, monitor.PositionsGroup,
	}
}

// ready waits until each group is owned: what is published earlier would wait
// for its consumer, and that is not the latency of a running system. Nothing
// else depends on it, so it does not insist: a broker may make a log only when
// something is published, and has no lane of it before.
func (s *Session) ready(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err := s.await(soon, "has not started", func(l ampybus.Lag) bool {
		return len(l.Lanes) > 0 && !slices.ContainsFunc(l.Lanes, func(x driver.LaneState) bool { return x.Owner == "" })
	})
	if soon.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// settle waits until each group has finished what the one before it caused.
// What a service publishes is stored before it finishes the message that it
// follows from: so when a group has finished all, its consequences are all
// there, and it is the next one's turn.
func (s *Session) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return s.await(ctx, "has not finished", func(l ampybus.Lag) bool { return l.Pending == 0 })
}

// await waits for one group after the other.
func (s *Session) await(ctx context.Context, missing string, done func(ampybus.Lag) bool) error {
	poll := time.NewTicker(awaitPoll)
	defer poll.Stop()
	for _, group := range groups() {
		for {
			lag, err := s.bus.Lag(ctx, group)
			if err != nil {
				return err
			}
			if done(lag) {
				break
			}
			select {
			case <-poll.C:
			case <-ctx.Done():
				return fmt.Errorf("group %s %s; %d messages are left: %w", group, missing, lag.Pending, context.Cause(ctx))
			}
		}
	}
	return nil
}

const (
	readyTimeout  = 5 * time.Second
	settleTimeout = time.Minute
	awaitPoll     = 20 * time.Millisecond
)

// operatorName stands for the session itself in metrics.
const operatorName = "operator"

// member is a service in this process.
type member struct {
	cancel context.CancelFunc
	ended  chan error
}

// host starts a service. When it ends with an error, the session ends.
func (s *Session) host(ctx context.Context, name string, run service.Run) member {
	ctx, cancel := context.WithCancel(ctx)
	m := member{cancel, make(chan error, 1)}
	go func() {
		err := service.Host(ctx, s.Open, name, run, s.config(name))
		if err != nil {
			s.fail(err)
		}
		m.ended <- err
	}()
	return m
}

func (m member) stop() error {
	m.cancel()
	return <-m.ended
}

func (s *Session) config(name string) service.Config {
	c := s.Config
	c.Instance = name + "-1"
	return c
}

// say tells the story, with the time since the start.
func (s *Session) say(format string, args ...any) {
	s.printf("%5.1fs  %s\n", time.Since(s.started).Seconds(), fmt.Sprintf(format, args...))
}

func (s *Session) printf(format string, args ...any) {
	s.printing.Lock()
	defer s.printing.Unlock()
	_, _ = io.WriteString(s.Out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}
