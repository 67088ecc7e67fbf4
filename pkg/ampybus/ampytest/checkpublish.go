package ampytest

import (
	"math"
	"slices"
)

// checkPublishes compares what callers were told with what the logs hold.
func (a *audit) checkPublishes() {
	for _, key := range a.names {
		for i, m := range a.keys[key] {
			a.checkPublish(m)
			if m.lost() && !a.inGap(a.keys[key], i) {
				a.find(NotStored, m.key, m.id, "reported stored, and no log holds it")
			}
		}
		a.checkStoredOrder(a.keys[key])
	}
}

// lost tells that nobody knows where a message lies that was reported stored.
func (m *message) lost() bool { return m.ok > 0 && len(m.held) == 0 && len(m.stored) == 0 }

// inGap tells whether message i of a key may have lain in a gap that was
// reported. A broker does not tell the position of each record of a batch; it
// lies between those of the messages before and after it.
func (a *audit) inGap(ms []*message, i int) bool {
	for _, name := range a.order {
		low, high := uint64(0), uint64(math.MaxUint64)
		for j, m := range ms {
			for _, p := range slices.Concat(m.held, m.stored) {
				switch {
				case p.log != name:
				case j < i:
					low = max(low, p.pos+1)
				case j > i:
					high = min(high, p.pos)
				}
			}
		}
		for _, g := range a.logs[name].gaps {
			if max(low, g.Pos) < min(high, g.To) {
				return true
			}
		}
	}
	return false
}

func (a *audit) checkPublish(m *message) {
	switch n := len(m.held); {
	case n <= len(m.as), m.as[""]:
		// As many copies as publish ids; records without an id may repeat.
	case m.failed > 0:
		a.find(StoredFailed, m.key, m.id, "reported as not stored, and held at %v", m.held)
	case m.calls > 0:
		a.find(StoredTwice, m.key, m.id, "held %d times for %d publish ids: %v", n, len(m.as), m.held)
	}
}

// checkStoredOrder checks the first copies of messages that were published
// once: a caller who publishes again after an error has given up their order.
func (a *audit) checkStoredOrder(ms []*message) {
	last := make(map[string]uint64)
	for _, m := range ms {
		if m.calls != 1 || len(m.held) == 0 {
			continue
		}
		first := slices.MinFunc(m.held, func(x, y place) int {
			return int(int64(x.pos) - int64(y.pos))
		})
		if first.pos < last[first.log] {
			a.find(StoredInverted, m.key, m.id, "stored at %v, before an earlier message of the key at %d", first, last[first.log])
		}
		last[first.log] = max(last[first.log], first.pos)
	}
}

// checkPositions checks that everybody saw the same bytes at a position.
func (a *audit) checkPositions() {
	for i := range a.events {
		e := &a.events[i]
		switch e.Op {
		case OpDeliver, OpEffect, OpHold:
		default:
			continue
		}
		if seen, ok := a.log(e.Log).seen[e.Pos]; ok && seen.Hash != e.Hash {
			a.find(PosDiverged, e.Key, e.ID, "%s at %v holds %s, and %s to %s", e.Op, place{e.Log, e.Pos}, e.Hash, seen.Hash, seen.Op)
		}
	}
}
