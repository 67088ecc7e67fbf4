package drivertest

import (
	"context"
	"slices"
	"sync"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// member is one Source and all that it has handed out so far. It receives
// without pause, so what holds a source back must be asked for: MaxSpan, Pause,
// or a Source that is read by hand.
type member struct {
	e    *env
	tr   driver.Transport
	name string
	cfg  driver.GroupConfig
	src  driver.Source

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each event
	lanes   map[string]*holding
	got     []taken
	other   []driver.Event // all but records
	ended   bool
	work    sync.WaitGroup
}

// taken is a record and the lane it came on.
type taken struct {
	lane string
	driver.Delivery
}

// holding is what a member knows of one lane.
type holding struct {
	owned bool
	epoch uint64
	next  uint64 // no record below may come
}

// join opens a member of a group with the test's lease.
func (e *env) join(tr driver.Transport, c driver.GroupConfig) *member {
	e.Helper()
	return e.joinIn(e.ctx(), tr, c)
}

// joinIn is join with a context of its own.
func (e *env) joinIn(ctx context.Context, tr driver.Transport, c driver.GroupConfig) *member {
	e.Helper()
	if c.Lease == 0 {
		c.Lease = e.h.Lease
	}
	src, err := tr.Open(ctx, c)
	if err != nil {
		e.Fatalf("open %+v: %v", c, err)
	}
	m := &member{
		e: e, tr: tr, name: c.Member, cfg: c, src: src,
		changed: make(chan struct{}), lanes: make(map[string]*holding),
	}
	m.work.Go(m.receive)
	e.Cleanup(m.close)
	return m
}

// group is a configuration with all defaults of a test.
func group(name, member, pattern string) driver.GroupConfig {
	return driver.GroupConfig{Group: name, Member: member, Pattern: pattern}
}

func (m *member) receive() {
	for ev := range m.src.Events() {
		m.apply(ev)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	m.tell()
}

// tell wakes who waits for a change. The lock is held.
func (m *member) tell() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *member) apply(ev driver.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.tell()
	if ev.Kind == driver.Records {
		m.take(ev)
		return
	}
	m.other = append(m.other, ev)
	switch ev.Kind {
	case driver.Assigned:
		m.assign(ev)
	case driver.Draining:
		m.holds(ev, "is drained")
		m.work.Go(func() { m.drain(ev) })
	case driver.Lost:
		m.holds(ev, "is lost")
		m.lane(ev.Lane).owned = false
	case driver.Gap:
		m.gap(ev)
	}
}

// lane is what the member holds of a lane. The lock is held.
func (m *member) lane(name string) *holding {
	l := m.lanes[name]
	if l == nil {
		l = &holding{}
		m.lanes[name] = l
	}
	return l
}

// holds checks that an event speaks of a lane that the member owns.
func (m *member) holds(ev driver.Event, what string) *holding {
	l := m.lane(ev.Lane)
	if !l.owned || l.epoch != ev.Epoch {
		m.e.Errorf("%s: lane %s %s at epoch %d, where it holds %+v", m.name, ev.Lane, what, ev.Epoch, *l)
	}
	return l
}

// assign begins a lane, or begins it again: what was taken from there on is
// forgotten, since it comes again.
func (m *member) assign(ev driver.Event) {
	l := m.lane(ev.Lane)
	if ev.Epoch < l.epoch || ev.Epoch == l.epoch && !l.owned {
		m.e.Errorf("%s: lane %s assigned at epoch %d after %d", m.name, ev.Lane, ev.Epoch, l.epoch)
	}
	*l = holding{owned: true, epoch: ev.Epoch, next: ev.From}
	m.got = slices.DeleteFunc(m.got, func(t taken) bool { return t.lane == ev.Lane && t.Pos >= ev.From })
	m.e.rota.assigned(m, post{m.cfg.Group, ev.Lane}, ev.Epoch, ev.From)
}

func (m *member) take(ev driver.Event) {
	l := m.holds(ev, "has records")
	if len(ev.Records) == 0 {
		m.e.Errorf("%s: a Records event of lane %s is empty", m.name, ev.Lane)
	}
	for _, d := range ev.Records {
		if d.Pos < l.next {
			m.e.Errorf("%s: position %d of lane %s came where %d or later was due", m.name, d.Pos, ev.Lane, l.next)
		}
		l.next = d.Pos + 1
		m.got = append(m.got, taken{ev.Lane, d})
	}
}

func (m *member) gap(ev driver.Event) {
	l := m.holds(ev, "has a gap")
	if ev.From >= ev.To || ev.From < l.next {
		m.e.Errorf("%s: gap [%d, %d) of lane %s, where %d was due", m.name, ev.From, ev.To, ev.Lane, l.next)
	}
	l.next = max(l.next, ev.To)
}

// drain gives a lane away in the way the bus does: commit, then Done.
func (m *member) drain(ev driver.Event) {
	defer ev.Done()
	if low := m.low(ev.Lane); low > 0 {
		_ = m.commitAt(ev.Lane, ev.Epoch, low)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lane(ev.Lane).owned = false
}

// low is the position behind the last record taken of a lane, 0 for none.
func (m *member) low(lane string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.got) - 1; i >= 0; i-- {
		if m.got[i].lane == lane {
			return m.got[i].Pos + 1
		}
	}
	return 0
}

// commitAt commits at an epoch, and notes it when the broker accepts.
func (m *member) commitAt(lane string, epoch, low uint64) error {
	err := m.src.Commit(m.e.ctx(), lane, epoch, low)
	if err == nil {
		m.e.rota.commit(post{m.cfg.Group, lane}, epoch, low)
	}
	return err
}

// commitTogether is commitAt for several lanes, at once where the source can.
func (m *member) commitTogether(points []driver.Point) []error {
	var errs []error
	if batch, ok := m.src.(driver.BatchCommitter); ok {
		errs = batch.CommitAll(m.e.ctx(), points)
	} else {
		for _, p := range points {
			errs = append(errs, m.src.Commit(m.e.ctx(), p.Lane, p.Epoch, p.Low))
		}
	}
	for i, p := range points {
		if errs[i] == nil {
			m.e.rota.commit(post{m.cfg.Group, p.Lane}, p.Epoch, p.Low)
		}
	}
	return errs
}

// commits records that t and everything below it is finished, at the epoch held.
func (m *member) commits(t taken) {
	m.e.Helper()
	epoch := m.epoch(t.lane)
	if err := m.commitAt(t.lane, epoch, t.Pos+1); err != nil {
		m.e.Fatalf("%s: commit lane %s at epoch %d below %d: %v", m.name, t.lane, epoch, t.Pos+1, err)
	}
}

// epoch is the last epoch at which the member was given a lane.
func (m *member) epoch(lane string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lane(lane).epoch
}

// close leaves the group in order. It may be called twice.
func (m *member) close() {
	m.e.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), m.e.h.Patience)
	defer cancel()
	if err := m.src.Close(ctx); err != nil && !m.e.dead[m.tr] {
		m.e.Errorf("%s: close: %v", m.name, err)
	}
	m.work.Wait()
}

// deliveries drops the lanes of records taken.
func deliveries(ts []taken) []driver.Delivery {
	ds := make([]driver.Delivery, len(ts))
	for i := range ts {
		ds[i] = ts[i].Delivery
	}
	return ds
}
