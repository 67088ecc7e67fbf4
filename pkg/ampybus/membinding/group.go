package membinding

import (
	"fmt"
	"maps"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// group is a durable reader: its lanes, one for each log of its pattern, and
// the members that share them. The broker's lock guards it.
type group struct {
	b       *Broker
	name    string
	pattern pattern
	lanes   map[string]*lane
	members []*source // in the order in which they joined
}

// join makes s a member, and the group what it is for its first one.
func (b *Broker) join(s *source, p pattern) error {
	g := b.groups[s.cfg.Group]
	switch {
	case g == nil:
		g = &group{b: b, name: s.cfg.Group, lanes: make(map[string]*lane)}
		b.groups[g.name] = g
	case g.pattern.text != p.text && len(g.members) > 0:
		return fmt.Errorf("its members read %s, not %s: %w", g.pattern.text, p.text, driver.ErrConfig)
	}
	g.pattern = p
	for _, l := range b.logsOf(p) {
		if g.lanes[l.name] == nil {
			g.lanes[l.name] = newLane(g, l, startOf(l, s.cfg))
		}
	}
	if s.cfg.Member == "" {
		b.members++
		s.cfg.Member = fmt.Sprintf("member-%d", b.members)
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
		g.lanes[l.name] = newLane(g, l, l.first)
		g.balance()
	}
}

// balance gives lanes without an owner to the members that own least, and
// drains one lane of a member that owns two more than another. It is called
// whenever a lane or a member comes or goes.
func (g *group) balance() {
	for _, name := range slices.Sorted(maps.Keys(g.lanes)) {
		ln := g.lanes[name]
		if least, _ := g.extremes(); ln.owner == nil && least != nil {
			ln.assign(least)
		}
	}
	least, most := g.extremes()
	if least == nil || g.load(most) < g.load(least)+2 || g.draining() {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(g.lanes)) {
		if ln := g.lanes[name]; ln.owner == most {
			ln.drain()
			return
		}
	}
}

// extremes are the connected members that own the fewest and the most lanes,
// the earlier one where several do; nil where nobody is connected.
func (g *group) extremes() (least, most *source) {
	for _, s := range g.members {
		if !s.t.connected {
			continue
		}
		if least == nil || g.load(s) < g.load(least) {
			least = s
		}
		if most == nil || g.load(s) > g.load(most) {
			most = s
		}
	}
	return least, most
}

// load is the number of lanes that s owns.
func (g *group) load(s *source) int {
	n := 0
	for _, ln := range g.lanes {
		if ln.owner == s {
			n++
		}
	}
	return n
}

// draining reports whether a lane is on its way to another member.
func (g *group) draining() bool {
	for _, ln := range g.lanes {
		if ln.draining {
			return true
		}
	}
	return false
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

// lane finds the lane of a group on a log, nil where there is none.
func (b *Broker) lane(group, log string) *lane {
	if g := b.groups[group]; g != nil {
		return g.lanes[log]
	}
	return nil
}
