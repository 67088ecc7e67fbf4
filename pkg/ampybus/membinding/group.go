package membinding

import (
	"fmt"
	"maps"
	"slices"

	"github.com/AmpyFin/ampy-bus/internal/deal"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// group is a durable reader: its lanes, one for each log of its pattern or for
// each share of one, and the members that share them. The broker's lock guards
// it.
type group struct {
	b       *Broker
	name    string
	pattern pattern
	shares  int
	key     func(*driver.Delivery) string // what divides a log into shares
	lanes   map[string]*lane
	plan    deal.Plan // by the members' ids
	epochs  uint64    // of lanes that are gone: new ones begin above
	members []*source // in the order in which they joined
}

// join makes s a member, and the group what it is for its first one.
func (b *Broker) join(s *source, p pattern) error {
	g := b.groups[s.cfg.Group]
	switch {
	case g == nil:
		g = &group{b: b, name: s.cfg.Group, shares: s.cfg.Shares, lanes: make(map[string]*lane), plan: make(deal.Plan)}
		b.groups[g.name] = g
	case g.pattern.text != p.text && len(g.members) > 0:
		return fmt.Errorf("its members read %s, not %s: %w", g.pattern.text, p.text, driver.ErrConfig)
	case g.shares != s.cfg.Shares && len(g.members) > 0:
		return driver.OtherShares(g.name, g.shares, s.cfg.Shares)
	}
	g.pattern, g.key = p, s.cfg.KeyOf
	g.divide(s.cfg.Shares)
	for _, l := range b.logsOf(p) {
		g.read(l, startOf(l, s.cfg))
	}
	b.members++
	s.id = fmt.Sprintf("member-%d", b.members)
	if s.cfg.Member == "" {
		s.cfg.Member = s.id
	}
	s.group = g
	g.members = append(g.members, s)
	g.balance()
	return nil
}

// startOf is where a group begins on a log that it has never read.
func startOf(l *log, c driver.GroupConfig) uint64 {
	switch {
	case c.StartNew:
		return l.next()
	case !c.Start.IsZero():
		return l.since(c.Start)
	}
	return l.first
}

// logCreated gives the group a log that did not exist when it was opened: all
// of it is new, also for a group that began behind the newest record.
func (g *group) logCreated(l *log) {
	if g.pattern.overlaps(l.name) {
		g.read(l, l.first)
		g.balance()
	}
}

// read makes the lanes of a log that the group has not read before.
func (g *group) read(l *log, start uint64) {
	for share := range g.shares {
		if name := driver.LaneOf(l.name, share, g.shares); g.lanes[name] == nil {
			g.lanes[name] = newLane(g, l, share, start)
		}
	}
}

// divide changes the number of shares of a group without members. New lanes
// begin at the smallest commit of a log's old ones, so that nothing is lost.
func (g *group) divide(shares int) {
	if g.shares == shares {
		return
	}
	floors := make(map[*log]uint64)
	for name, ln := range g.lanes {
		if ln.owner != nil {
			ln.release() // of a member that died: its lease does not matter here
		}
		if floor, known := floors[ln.log]; !known || ln.committed < floor {
			floors[ln.log] = ln.committed
		}
		g.epochs = max(g.epochs, ln.epoch)
		delete(g.lanes, name)
	}
	g.shares = shares
	for l, floor := range floors {
		g.read(l, floor)
	}
}

// keyOf is the key of a record as the members name it, or did: which of them is
// asked makes no difference.
func (g *group) keyOf(l *log, pos uint64) string {
	d := driver.Delivery{Record: l.at(pos).rec, Log: l.name, Pos: pos, StoredAt: l.at(pos).storedAt}
	return g.key(&d)
}

// on lists the lanes of a log, by name.
func (g *group) on(log string) []*lane {
	var lanes []*lane
	for share := range g.shares {
		if ln := g.lanes[driver.LaneOf(log, share, g.shares)]; ln != nil {
			lanes = append(lanes, ln)
		}
	}
	return lanes
}

// balance deals the lanes to the members that are connected: what nobody owns
// is assigned, what somebody else should own is drained. It is called whenever
// a lane or a member comes or goes.
func (g *group) balance() {
	byID := make(map[string]*source)
	var ids []string
	for _, s := range g.members {
		if s.t.connected {
			ids = append(ids, s.id)
			byID[s.id] = s
		}
	}
	names := slices.Sorted(maps.Keys(g.lanes))
	for _, name := range names {
		if ln := g.lanes[name]; ln.owner != nil && !ln.draining {
			g.plan[name] = ln.owner.id
		}
	}
	g.plan = deal.Lanes(ids, names, g.plan)
	for _, name := range names {
		switch ln, s := g.lanes[name], byID[g.plan[name]]; {
		case s == nil || ln.owner == s:
		case ln.owner == nil:
			ln.assign(s)
		case ln.owner.t.connected && !ln.draining:
			ln.drain()
		}
	}
}

// part ends a membership. Lanes of a member that cannot reach the broker stay
// its own until their lease ends.
func (g *group) part(s *source) {
	g.members = without(g.members, s)
	if !s.t.connected {
		return
	}
	for _, ln := range g.lanes {
		if ln.owner == s {
			ln.crashes, ln.started = 0, 0
			ln.release()
		}
	}
	g.balance()
}

// lanes lists the lanes of a group on a log.
func (b *Broker) lanes(group, log string) []*lane {
	if g := b.groups[group]; g != nil {
		return g.on(log)
	}
	return nil
}
