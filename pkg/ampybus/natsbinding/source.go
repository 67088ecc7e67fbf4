package natsbinding

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// scanEvery finds streams made later, where no advisory may be heard.
	scanEvery = 2 * time.Second
	// eventRecords bounds the records of one event, so that a receiver can
	// stop in time when its own limits are reached.
	eventRecords = 256
	// eventBytes bounds them too, but for one that is larger by itself.
	eventBytes = 1 << 20
	// minLease is below what a loaded machine can renew.
	minLease = 200 * time.Millisecond
	// leaveGrace bounds the way off the roster of a member that could not open.
	leaveGrace = time.Second
)

// source is one member of a group: a lane per stream that the pattern touches,
// or per share of one.
type source struct {
	t      *Transport
	c      driver.GroupConfig
	owner  string
	events chan driver.Event
	roster *roster

	ctx    context.Context // ends when the source closes
	cancel context.CancelFunc
	closed chan struct{}
	lanes  sync.WaitGroup
	rescan chan struct{}
	faults chan error

	mu        sync.Mutex
	byName    map[string]*lane
	replanned chan struct{} // closed and replaced when the plan may have changed
	err       error
	ending    context.Context // of Close, for giving leases away
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Open implements driver.Transport. Streams that the pattern names by
// environment and domain are made if they do not exist; streams made later are
// found while the source is open.
func (t *Transport) Open(ctx context.Context, c driver.GroupConfig) (driver.Source, error) {
	c, err := groupDefaults(c)
	if err != nil {
		return nil, err
	}
	if t.isClosed() {
		return nil, fmt.Errorf("open group %s: %w", c.Group, driver.ErrClosed)
	}
	s := &source{
		t: t, c: c, owner: nuid.Next(),
		events: make(chan driver.Event),
		closed: make(chan struct{}),
		rescan: make(chan struct{}, 1),
		faults: make(chan error, 1),
		byName: make(map[string]*lane), replanned: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveGrace)
		defer cancel()
		s.mu.Lock()
		s.ending = leaving
		s.mu.Unlock()
		s.cancel()
		s.lanes.Wait()
		return nil, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	return s, nil
}

func groupDefaults(c driver.GroupConfig) (driver.GroupConfig, error) {
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	c.Shares = max(c.Shares, 1)
	if !plainName.MatchString(c.Group) {
		return c, fmt.Errorf("open group %q: %w: Group: use 1 to 64 letters, digits, '_' or '-'", c.Group, driver.ErrConfig)
	}
	if err := checkPattern(c.Pattern); err != nil {
		return c, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	if c.MaxSpan <= 0 {
		c.MaxSpan = driver.DefaultMaxSpan
	}
	if c.Lease <= 0 {
		c.Lease = driver.DefaultLease
	}
	c.Lease = max(c.Lease, minLease)
	if c.Member == "" {
		host, _ := os.Hostname()
		c.Member = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	return c, nil
}

func (s *source) open(ctx context.Context) error {
	for _, scope := range s.t.cfg.Layout.Scopes(s.c.Pattern) {
		// The topic of a pattern is not needed: the scope decides.
		if _, err := s.t.logs.find(ctx, scope+".x"); err != nil && !errors.Is(err, driver.ErrNoLog) {
			return err
		}
	}
	if err := s.enrol(ctx); err != nil {
		return err
	}
	if err := s.scan(ctx, true); err != nil {
		return err
	}
	s.roster.look()
	if !s.t.adopt(s) {
		return driver.ErrClosed
	}
	s.lanes.Go(s.watchStreams)
	s.lanes.Go(s.tellFaults)
	return nil
}

// enrol joins the group's roster, and stays on it until the source closes.
func (s *source) enrol(ctx context.Context) error {
	kv, err := s.t.leases(ctx)
	if err != nil {
		return err
	}
	if s.roster, err = s.newRoster(kv); err != nil {
		return err
	}
	if err := s.roster.join(ctx); err != nil {
		s.roster.close()
		return err
	}
	s.lanes.Go(s.stayOnRoster)
	return nil
}

func (s *source) stayOnRoster() {
	defer s.roster.close()
	s.roster.run(s.ctx, s.trouble, s.giveUp)
	if s.ctx.Err() == nil {
		return // the group goes on without this member
	}
	if err := s.roster.leave(s.closing()); err != nil {
		s.t.log.Info("nats: member still on the roster; others take over when it has been silent", "group", s.c.Group, "error", err)
	}
}

// giveUp ends the source for a reason that trying again does not help.
func (s *source) giveUp(err error) {
	s.fail(fmt.Errorf("group %s: %w", s.c.Group, err))
	go func() { _ = s.Close(context.Background()) }()
}

// scan adds lanes for streams that have none yet.
func (s *source) scan(ctx context.Context, first bool) error {
	infos, err := s.t.overlapping(ctx, s.c.Pattern)
	if err != nil {
		return err
	}
	for _, info := range infos {
		for share := range s.c.Shares {
			if err := s.addLane(ctx, info, share, first); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *source) addLane(ctx context.Context, info *jetstream.StreamInfo, share int, first bool) error {
	fs := filters(info.Config.Subjects, s.c.Pattern)
	if s.lane(driver.LaneOf(info.Config.Name, share, s.c.Shares)) != nil || len(fs) == 0 {
		return nil
	}
	l, err := s.newLane(ctx, info.Config.Name, share, fs)
	if err != nil {
		return err
	}
	l.whole = sameStrings(fs, info.Config.Subjects)
	if first {
		l.d.start, l.d.startNew = s.c.Start, s.c.StartNew
	}
	// A new group's beginning is fixed when Open returns.
	if _, err := l.d.ensure(ctx, info.State.LastSeq); err != nil {
		l.close()
		return err
	}
	s.mu.Lock()
	s.byName[l.name] = l
	s.mu.Unlock()
	s.lanes.Go(l.run)
	s.roster.look()
	return nil
}

// laneNames lists the lanes known so far.
func (s *source) laneNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.byName))
}

// newPlan wakes the lanes: some may be this member's now, others not any more.
func (s *source) newPlan() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.replanned)
	s.replanned = make(chan struct{})
	for _, l := range s.byName {
		l.poke()
	}
}

// untilMoved returns when the plan gives a lane to another member, or ctx ends.
func (s *source) untilMoved(ctx context.Context, lane string) {
	for {
		s.mu.Lock()
		changed := s.replanned
		s.mu.Unlock()
		if !s.roster.planned(lane) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// watchStreams looks for new streams until the source closes.
func (s *source) watchStreams() {
	sub, err := s.t.nc.Subscribe("$JS.EVENT.ADVISORY.STREAM.CREATED.>", func(*nats.Msg) { s.lookAgain() })
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }()
	}
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		case <-s.rescan:
		}
		if err := s.scan(s.ctx, false); err != nil && s.ctx.Err() == nil {
			s.trouble(fmt.Errorf("look for new streams: %w", err))
		}
	}
}

func (s *source) lookAgain() {
	select {
	case s.rescan <- struct{}{}:
	default:
	}
}

// trouble reports that the broker cannot be reached. It never waits: one
// report that nobody has taken yet stands for all.
func (s *source) trouble(err error) {
	if s.ctx.Err() != nil {
		return
	}
	select {
	case s.faults <- err:
	default:
	}
}

func (s *source) tellFaults() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case err := <-s.faults:
			s.send(s.ctx, driver.Event{Kind: driver.Trouble, Err: err})
		}
	}
}

// send hands one event over; false when ctx ended first.
func (s *source) send(ctx context.Context, ev driver.Event) bool {
	select {
	case s.events <- ev:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *source) Events() <-chan driver.Event { return s.events }

func (s *source) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *source) lane(name string) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}

func (s *source) Commit(ctx context.Context, lane string, epoch, low uint64) error {
	l := s.lane(lane)
	if l == nil || s.ctx.Err() != nil {
		return fmt.Errorf("commit lane %s: %w", lane, driver.ErrFenced)
	}
	if err := l.commit(ctx, epoch, low); err != nil {
		return fmt.Errorf("commit lane %s below %d: %w", lane, low, err)
	}
	return nil
}

func (s *source) Mark(ctx context.Context, lane string, epoch, behind uint64) error {
	l := s.lane(lane)
	if l == nil || s.ctx.Err() != nil {
		return fmt.Errorf("mark in lane %s: %w", lane, driver.ErrFenced)
	}
	if err := l.begin(ctx, epoch, behind); err != nil {
		return fmt.Errorf("mark in lane %s below %d: %w", lane, behind, err)
	}
	return nil
}

func (s *source) Pause(lane string, on bool) {
	if l := s.lane(lane); l != nil {
		l.gate.set(on)
	}
}

// resync implements child.
func (s *source) resync() {
	s.roster.interrupt()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.byName {
		l.interrupt()
	}
}

// shut implements child.
func (s *source) shut(ctx context.Context) error { return s.Close(ctx) }

// Close gives all lanes away and ends the source. It may be called twice.
func (s *source) Close(ctx context.Context) error {
	s.mu.Lock()
	first := s.ending == nil
	if first {
		s.ending = ctx
	}
	s.mu.Unlock()
	if !first {
		select {
		case <-s.closed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.t.isClosed() {
		s.fail(driver.ErrClosed)
	}
	s.cancel()
	s.lanes.Wait()
	s.t.release(s)
	close(s.events)
	close(s.closed)
	return nil
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// closing is the context in which leases are given away.
func (s *source) closing() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == nil {
		return context.Background()
	}
	return s.ending
}

func sameStrings(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	has := make(map[string]bool, len(a))
	for _, s := range a {
		has[s] = true
	}
	for _, s := range b {
		if !has[s] {
			return false
		}
	}
	return true
}
