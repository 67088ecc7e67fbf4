package kafkabinding

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// source is one member of a group. A client of its own keeps its membership,
// and tells which partitions are this member's; it fetches nothing. Another
// reads the partitions that were claimed.
type source struct {
	t      *Transport
	c      driver.GroupConfig
	p      pattern
	owner  string
	starts map[place]uint64 // where the group begins on logs it never read
	awaits bool             // there is something to be assigned
	events chan driver.Event
	group  *kgo.Client
	adm    *kadm.Client // over group
	feed   *feed
	beat   heartbeat

	ctx    context.Context // ends when the source closes
	cancel context.CancelFunc
	work   sync.WaitGroup
	closed chan struct{}
	wake   chan struct{} // a token: look again what to hand out
	claims chan struct{} // a token: look again what to claim
	joined chan struct{} // closed when the first assignment is claimed

	isJoined sync.Once
	claiming sync.Mutex // held while a claim is under way

	mu      sync.Mutex
	met     bool            // the group has given something, or nothing, to it
	mine    map[place]bool  // what the group gave to this member
	lanes   map[place]*lane // of these, what it has claimed
	names   map[string]*lane
	told    []driver.Event // not received yet, but for gaps and records
	version uint64         // grows when an event on offer may be wrong
	turn    int
	polled  time.Time       // when the feed last brought what there was
	ending  context.Context // of Close
	err     error
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func groupDefaults(c driver.GroupConfig) (driver.GroupConfig, pattern, error) {
	p, err := parsePattern(c.Pattern)
	if err != nil {
		return c, p, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	if !plainName.MatchString(c.Group) {
		return c, p, fmt.Errorf("open group %q: %w: Group: use 1 to 64 letters, digits, '_' or '-'", c.Group, driver.ErrConfig)
	}
	if err := c.Check(); err != nil {
		return c, p, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	if c.MaxSpan <= 0 {
		c.MaxSpan = driver.DefaultMaxSpan
	}
	if c.Lease <= 0 {
		c.Lease = driver.DefaultLease
	}
	if c.Member == "" {
		host, _ := os.Hostname()
		c.Member = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	if len(c.Member) > maxMember {
		c.Member = c.Member[:maxMember]
	}
	return c, p, nil
}

// maxMember keeps a claim below the limit of metadata.
const maxMember = 128

// Open implements driver.Transport. Kafka topics that are made later are found
// while the source is open.
func (t *Transport) Open(ctx context.Context, c driver.GroupConfig) (driver.Source, error) {
	c, p, err := groupDefaults(c)
	if err != nil {
		return nil, err
	}
	s := &source{
		t: t, c: c, p: p, owner: rand.Text(),
		events: make(chan driver.Event),
		closed: make(chan struct{}),
		wake:   make(chan struct{}, 1),
		claims: make(chan struct{}, 1),
		joined: make(chan struct{}),
		mine:   make(map[place]bool),
		lanes:  make(map[place]*lane),
		names:  make(map[string]*lane),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.open(ctx); err != nil {
		s.cancel()
		return nil, fmt.Errorf("open group %s: %w", c.Group, err)
	}
	return s, nil
}

func (s *source) open(ctx context.Context) error {
	if err := s.t.ready(ctx); err != nil {
		return err
	}
	s.settleIn(ctx)
	var err error
	if s.starts, err = s.beginnings(ctx); err != nil {
		return err
	}
	if s.feed, err = newFeed(s.t.cfg, s.t.packer); err != nil {
		return err
	}
	s.beat.ok(time.Now())
	if s.group, err = kgo.NewClient(append(s.t.cfg.common(), s.membership()...)...); err != nil {
		s.feed.close()
		return fmt.Errorf("%w: %w", driver.ErrConfig, err)
	}
	s.adm = kadm.NewClient(s.group)
	if !s.t.adopt(s) {
		s.feed.close()
		s.group.Close()
		return driver.ErrClosed
	}
	s.work.Go(s.run)
	s.work.Go(s.fetch)
	s.work.Go(s.claimLoop)
	s.work.Go(s.watch)
	s.work.Go(s.passLoop)
	s.awaitJoin(ctx)
	return nil
}

// settleIn makes the Kafka topic of a pattern that names one: the group then
// owns its lanes before the first record, which would else wait until the topic
// is found. Where that is not possible, whoever publishes makes it.
func (s *source) settleIn(ctx context.Context) {
	name := s.p.home(s.t.cfg.Layout)
	if name == "" || s.t.cfg.NoCreate || !legal(name) {
		return
	}
	short, cancel := context.WithTimeout(ctx, s.t.cfg.AckTimeout)
	defer cancel()
	if err := s.t.ensureTopic(short, name); err != nil && ctx.Err() == nil {
		s.t.log.Info("kafka: the group's topic is not made; it is found when it is there", "topic", name, "reason", err)
	}
}

// joinTime bounds how long Open waits for the first assignment.
const joinTime = 3 * time.Second

// awaitJoin waits, for a while, until the group knows this member: where it
// begins is then settled, whoever dies afterwards.
func (s *source) awaitJoin(ctx context.Context) {
	if !s.awaits {
		return
	}
	timer := time.NewTimer(joinTime)
	defer timer.Stop()
	select {
	case <-s.joined:
	case <-timer.C:
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
}

// beginnings fixes where a new group starts on what exists now. What is made
// later belongs to it from the first record on.
func (s *source) beginnings(ctx context.Context) (map[place]uint64, error) {
	topics, err := s.t.covered(ctx, s.p)
	s.awaits = len(topics) > 0
	if err != nil || !s.c.StartNew && s.c.Start.IsZero() {
		return nil, err
	}
	ask := s.t.adm.ListEndOffsets
	if !s.c.StartNew {
		ask = func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return s.t.adm.ListOffsetsAfterMilli(ctx, millis(s.c.Start), topics...)
		}
	}
	listed, err := s.t.listOffsets(ctx, ask, topics...)
	if err != nil {
		return nil, requestError("find the beginnings", err)
	}
	starts := make(map[place]uint64)
	listed.Each(func(o kadm.ListedOffset) { starts[place{o.Topic, o.Partition}] = uint64(max(o.Offset, 0)) })
	return starts, nil
}

// Events is the member's stream of events.
func (s *source) Events() <-chan driver.Event { return s.events }

// Err is nil until Events is closed.
func (s *source) Err() error {
	select {
	case <-s.closed:
	default:
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// run hands out one event after the other until the source ends. An event is on
// offer until it is received or no longer true.
func (s *source) run() {
	defer close(s.closed)
	defer close(s.events)
	var o offer
	for {
		if !s.stands(o) {
			o = s.next()
		}
		out := s.events
		if !o.set {
			out = nil
		}
		select {
		case out <- o.event:
			s.received(o)
			o = offer{}
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
	}
}

type offer struct {
	set     bool
	event   driver.Event
	version uint64
	lane    *lane // nil: from told
	steps   int
}

func (s *source) stands(o offer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return o.set && o.version == s.version
}

// next is what the member should receive next: what it was told, then a gap or
// records of its lanes in turn.
func (s *source) next() offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) > 0 {
		return offer{set: true, event: s.told[0], version: s.version}
	}
	owned := s.owned()
	for i := range owned {
		l := owned[(s.turn+i)%len(owned)]
		s.decode(l)
		if ev, n := l.offer(s.c.MaxSpan); n > 0 {
			s.turn += i + 1
			return offer{set: true, event: ev, version: s.version, lane: l, steps: n}
		}
	}
	return offer{}
}

func (s *source) received(o offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.lane == nil {
		s.told = s.told[1:]
		return
	}
	if o.lane.gone {
		return
	}
	o.lane.received(o.steps)
	if mutant.On("autocommit") && len(o.lane.out) > 0 {
		c, low := o.lane.claim, o.lane.out[len(o.lane.out)-1]+1
		s.work.Go(func() { _ = s.write(s.ctx, o.lane, low, c) })
	}
	if o.lane.held && o.lane.roomy() {
		o.lane.held = false
		l := o.lane
		s.feed.order(func() { s.flow(l) })
	}
	s.feed.ring()
}

// owned lists the lanes by name. The lock is held.
func (s *source) owned() []*lane {
	ls := make([]*lane, 0, len(s.lanes))
	for _, l := range s.lanes {
		ls = append(ls, l)
	}
	slices.SortFunc(ls, func(a, b *lane) int {
		switch {
		case a.name < b.name:
			return -1
		case a.name > b.name:
			return 1
		}
		return 0
	})
	return ls
}

// tell adds an event. The lock is held.
func (s *source) tell(ev driver.Event) {
	s.told = append(s.told, ev)
	s.revise()
}

// revise makes run look again at what it offers. The lock is held.
func (s *source) revise() {
	s.version++
	s.wakes()
}

func (s *source) wakes() { token(s.wake) }

// token leaves one token in c, where none is.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// trouble reports that the broker cannot be reached. One report that nobody
// has taken yet stands for all.
func (s *source) trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil || slices.ContainsFunc(s.told, func(ev driver.Event) bool { return ev.Kind == driver.Trouble }) {
		return
	}
	s.tell(driver.Event{Kind: driver.Trouble, Err: fmt.Errorf("group %s: %w", s.c.Group, err)})
}

// Pause stops, or resumes, the delivery of a lane's records.
func (s *source) Pause(name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.names[name]; l != nil {
		l.paused = on
		s.revise()
		s.feed.ring()
	}
}

// shut implements child.
func (s *source) shut(ctx context.Context) error {
	s.fail(driver.ErrClosed)
	return s.Close(ctx)
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.ending == nil {
		s.err = err
	}
}

// closeTime bounds what giving lanes away may take.
const closeTime = 5 * time.Second

// Close gives all lanes away and ends the source. It may be called twice.
func (s *source) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
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
	s.releaseAll(ctx)
	err := s.group.LeaveGroupContext(ctx)
	s.cancel()
	s.group.Close()
	s.feed.close()
	s.work.Wait()
	s.t.release(s)
	if err != nil {
		return fmt.Errorf("close member of group %s: %w: %w", s.c.Group, driver.ErrUnreachable, err)
	}
	return nil
}

// end ends a source that cannot go on.
func (s *source) end(err error) {
	s.fail(err)
	go func() { _ = s.Close(context.Background()) }()
}
