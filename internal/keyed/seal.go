package keyed

import "github.com/AmpyFin/ampy-bus/internal/mutant"

// Seal ends a lane's new work: nothing behind the highest position handed out
// so far is handed out any more. What lies below still is, so that the finished
// prefix closes up and little is delivered again. A lane stays sealed until it
// is assigned at a new epoch.
func (c *Core[T]) Seal(lane string) {
	l := c.lanes[lane]
	if l == nil {
		return
	}
	l.sealed = !mutant.On("no-seal")
	for k := c.ready.head; k != nil; {
		next := k.next
		if k.lane == l && l.beyond(k) {
			c.ready.remove(k)
		}
		k = next
	}
}

// Ready counts the keys of a lane that may run now.
func (c *Core[T]) Ready(lane string) int {
	n := 0
	for k := c.ready.head; k != nil; k = k.next {
		if k.lane.name == lane {
			n++
		}
	}
	return n
}

// beyond reports whether a seal keeps the key's next item back.
func (l *lane[T]) beyond(k *key[T]) bool {
	n := k.idle()
	return l.sealed && (n == nil || n.pos >= l.top)
}
