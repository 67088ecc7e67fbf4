package keyed

import (
	"maps"
	"slices"
	"strings"
)

// ParkedKey is a key whose items are dead-lettered until it is released.
type ParkedKey struct{ Key, Cause string }

// Park holds a key: its items are handed out with Task.Parked. It restores what
// was stored before a restart; a key that is parked keeps its first cause.
// Parking outlives Revoke: whoever owns a lane anew brings it up to date with
// Park and Release.
func (c *Core[T]) Park(key, cause string) {
	if _, ok := c.parked[key]; !ok {
		c.parked[key] = cause
	}
}

// Release lets a parked key run again, at once and with fresh attempts, since
// its items were not handled yet.
func (c *Core[T]) Release(key string) {
	if _, ok := c.parked[key]; !ok {
		return
	}
	delete(c.parked, key)
	for _, name := range slices.Sorted(maps.Keys(c.lanes)) { // sorted: keys take turns in a known order
		k := c.lanes[name].keys[key]
		if k == nil {
			continue
		}
		for n := k.idle(); n != nil; n = n.next {
			n.attempt = 0
		}
		if k.timer != 0 {
			c.timers.remove(k)
			c.wake(k)
		}
	}
}

// Parked lists the parked keys in the order of their names.
func (c *Core[T]) Parked() []ParkedKey {
	out := make([]ParkedKey, 0, len(c.parked))
	for k, cause := range c.parked {
		out = append(out, ParkedKey{k, cause})
	}
	slices.SortFunc(out, func(a, b ParkedKey) int { return strings.Compare(a.Key, b.Key) })
	return out
}
