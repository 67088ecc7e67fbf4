// Package deal divides the lanes of a group among its members: evenly over each
// log and over all, and moving few lanes when members come and go. It is a pure
// function of what it is given, so that members who see the same agree.
//
//	plan := deal.Lanes(members, lanes, plan)
//
// It knows no broker and no lease: a plan says who should own a lane, not who
// does.
package deal

import (
	"cmp"
	"maps"
	"slices"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// Plan names the member that should own a lane.
type Plan map[string]string

// Lanes deals lanes to members. Any two members have numbers of lanes that
// differ by at most one, over all and of each log. A lane stays with its member
// in before where that allows it. Without members the plan is empty.
func Lanes(members, lanes []string, before Plan) Plan {
	plan := make(Plan, len(lanes))
	if len(members) == 0 {
		return plan
	}
	d := dealer{members: members, before: before, plan: plan, load: make(map[string]int)}
	logs := make(map[string][]string)
	for _, lane := range slices.Compact(slices.Sorted(slices.Values(lanes))) {
		log, _, _ := driver.CutLane(lane)
		logs[log] = append(logs[log], lane)
	}
	for _, log := range slices.Sorted(maps.Keys(logs)) {
		d.log(logs[log])
	}
	return plan
}

// dealer has dealt the logs before, evenly.
type dealer struct {
	members []string
	before  Plan
	plan    Plan
	load    map[string]int
}

// log deals one log: everybody gets the same number of lanes, and those that
// have least so far get one more until none is left.
func (d *dealer) log(lanes []string) {
	held := make(map[string]int)
	for _, lane := range lanes {
		held[d.before[lane]]++
	}
	room := make(map[string]int, len(d.members))
	each, more := len(lanes)/len(d.members), len(lanes)%len(d.members)
	for i, m := range d.byNeed(held) {
		room[m] = each
		if i < more {
			room[m]++
		}
		d.load[m] += room[m]
	}
	var moving []string
	for _, lane := range lanes {
		if m := d.before[lane]; room[m] > 0 {
			room[m]--
			d.plan[lane] = m
		} else {
			moving = append(moving, lane)
		}
	}
	for _, m := range d.members {
		for range room[m] {
			d.plan[moving[0]] = m
			moving = moving[1:]
		}
	}
}

// byNeed lists the members that have least so far first; among these, those
// that hold most of the log, so that little moves.
func (d *dealer) byNeed(held map[string]int) []string {
	order := slices.Clone(d.members)
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Or(cmp.Compare(d.load[a], d.load[b]), cmp.Compare(held[b], held[a]))
	})
	return order
}
