package kafkabinding

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/AmpyFin/ampy-bus/internal/mutant"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

const (
	// maxHeartbeat bounds how late a member hears that another one left.
	maxHeartbeat = time.Second
	// drainPart of a lease is what a member may take to give a lane away; the
	// others wait for it in the meantime.
	maxDrain = 10 * time.Second
)

// membership are the options of the client that keeps the membership.
func (s *source) membership() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.ConsumerGroup(s.c.Group),
		kgo.ConsumeTopics(s.p.regex()),
		kgo.ConsumeRegex(),
		kgo.DisableAutoCommit(),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(s.c.Lease),
		kgo.RebalanceTimeout(s.drainTime() + s.c.Lease),
		kgo.HeartbeatInterval(min(s.c.Lease/4, maxHeartbeat)),
		kgo.AdjustFetchOffsetsFn(fetchNothing),
		kgo.OnPartitionsAssigned(s.onAssigned),
		kgo.OnPartitionsRevoked(s.onRevoked),
		kgo.OnPartitionsLost(s.onLost),
		kgo.WithHooks(&hooks{s}),
		kgo.MaxVersions(byName()),
	}
	if s.t.cfg.ServerAssignor {
		opts = append(opts, kgo.ServerSideBalancer())
	}
	return opts
}

// lastByName is the last version of OffsetCommit that names topics: later ones
// give their ids, which only the client's own commits know.
const lastByName = 9

func byName() *kversion.Versions {
	v := kversion.Tip()
	v.SetMaxKeyVersion(int16(kmsg.OffsetCommit), lastByName)
	return v
}

// fetchNothing keeps the membership's client from fetching: the feed does.
func fetchNothing(context.Context, map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	return nil, nil
}

func (s *source) drainTime() time.Duration { return min(s.c.Lease, maxDrain) }

func places(assigned map[string][]int32) []place {
	var ps []place
	for topic, partitions := range assigned {
		for _, p := range partitions {
			ps = append(ps, place{topic, p})
		}
	}
	return ps
}

func (s *source) onAssigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.met = true
	for _, p := range places(added) {
		s.mine[p] = true
	}
	token(s.claims)
}

// onRevoked gives lanes away in order. While it runs the client keeps the
// membership alive, so commits are accepted until it returns.
func (s *source) onRevoked(_ context.Context, _ *kgo.Client, revoked map[string][]int32) {
	if len(revoked) == 0 {
		return
	}
	s.claiming.Lock() // what is being claimed is claimed, and then given away
	s.mu.Lock()
	var leaving []*lane
	for _, p := range places(revoked) {
		delete(s.mine, p)
		if l := s.lanes[p]; l != nil {
			leaving = append(leaving, l)
		}
	}
	s.mu.Unlock()
	s.claiming.Unlock()
	var all sync.WaitGroup
	for _, l := range leaving {
		all.Go(func() { s.handOver(l) })
	}
	all.Wait()
}

// handOver drains a lane and gives it away; a member that does not finish in
// time loses it.
func (s *source) handOver(l *lane) {
	done := make(chan struct{})
	var once sync.Once
	s.mu.Lock()
	closing := s.ending != nil
	l.draining = true
	if !closing && !l.gone {
		ev := l.event(driver.Draining)
		ev.Done = func() { once.Do(func() { close(done) }) }
		s.tell(ev)
	}
	s.mu.Unlock()
	timer := time.NewTimer(s.drainTime())
	defer timer.Stop()
	inTime := closing || mutant.On("no-drain")
	if !inTime {
		select {
		case <-done:
			inTime = true
		case <-timer.C:
		case <-s.ctx.Done():
		}
	}
	if inTime {
		ctx, cancel := context.WithTimeout(s.ctx, apiTimeout)
		s.release(ctx, l)
		cancel()
		return
	}
	s.lose(l, nil)
}

// onLost: another member may own the lanes already.
func (s *source) onLost(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	s.mu.Lock()
	var ls []*lane
	for _, p := range places(lost) {
		delete(s.mine, p)
		if l := s.lanes[p]; l != nil {
			ls = append(ls, l)
		}
	}
	s.mu.Unlock()
	for _, l := range ls {
		s.lose(l, nil)
	}
}

// lose takes a lane from this member, and tells it.
func (s *source) lose(l *lane, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.drop(l) {
		return
	}
	ev := l.event(driver.Lost)
	ev.Err = why
	s.tell(ev)
}

// drop ends a lane here; false when it had ended. The lock is held.
func (s *source) drop(l *lane) bool {
	if l.gone {
		return false
	}
	l.gone = true
	l.ahead, l.ready = backlog{}, nil
	if s.lanes[l.place] == l {
		delete(s.lanes, l.place)
		delete(s.names, l.name)
	}
	s.feed.order(func() { s.unfeed(l) })
	s.revise()
	return true
}

// heartbeat is this member's own clock on its membership: the coordinator
// counts from when it received the last heartbeat, this from when it was sent.
type heartbeat struct {
	mu      sync.Mutex
	last    time.Time
	joining bool
}

func (h *heartbeat) ok(sent time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if sent.After(h.last) {
		h.last = sent
	}
	h.joining = false
}

func (h *heartbeat) joins(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.joining = on
}

func (h *heartbeat) silent(now time.Time) (d time.Duration, joining bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Sub(h.last), h.joining
}

// watchPart of a lease is how often the clock is looked at.
const watchPart = 20

// watch gives lanes up when the coordinator has been silent for a lease: it may
// have given them to others.
func (s *source) watch() {
	tick := time.NewTicker(max(s.c.Lease/watchPart, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.judge(now)
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *source) judge(now time.Time) {
	silent, joining := s.beat.silent(now)
	limit := s.c.Lease
	if joining {
		// The coordinator answers when all members have given their lanes away,
		// and keeps nobody's time until then.
		limit += s.drainTime() + s.c.Lease
	}
	if silent > limit/2 {
		s.trouble(fmt.Errorf("%w: the coordinator has been silent for %v", driver.ErrUnreachable, silent.Round(time.Millisecond)))
	} else {
		token(s.claims) // a lane that was given up by the clock may come back
	}
	if silent < limit*9/10 || mutant.On("keep-silent-lanes") {
		return
	}
	s.mu.Lock()
	owned := s.owned()
	s.mu.Unlock()
	for _, l := range owned {
		s.lose(l, driver.ErrUnreachable)
	}
}

// hooks listen to the membership's client.
type hooks struct{ s *source }

func isGroupKey(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.ConsumerGroupHeartbeat, kmsg.OffsetCommit:
		return true
	}
	return false
}

func (h *hooks) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if kmsg.Key(key) == kmsg.JoinGroup && err == nil {
		h.s.beat.joins(true)
	}
}

func (h *hooks) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if isGroupKey(key) && e2e.Err() == nil {
		h.s.beat.ok(time.Now().Add(-e2e.DurationE2E()))
	}
}

// OnGroupManageError ends a source whose membership can never work.
func (h *hooks) OnGroupManageError(err error) {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
	case errors.Is(err, kerr.InvalidSessionTimeout):
		h.s.end(fmt.Errorf("group %s: %w: Lease: %v is outside of what the broker allows (group.min.session.timeout.ms, 6 s by default, to group.max.session.timeout.ms)", h.s.c.Group, driver.ErrConfig, h.s.c.Lease))
	case isDenied(err):
		h.s.end(fmt.Errorf("group %s: %w: %w", h.s.c.Group, driver.ErrPermission, err))
	case errors.Is(err, kerr.InconsistentGroupProtocol):
		h.s.end(fmt.Errorf("group %s: %w: its members use another way of assigning partitions: %w", h.s.c.Group, driver.ErrConfig, err))
	default:
		h.s.trouble(requestError("keep the membership", err))
	}
}
