package keyed

// Stats is the state of a Core in numbers.
type Stats struct {
	Lanes   int   // owned
	Keys    int   // with an item, or running
	Items   int   // unfinished, of owned lanes
	Bytes   int64 // of these items
	Ready   int   // keys that could run now
	Waiting int   // keys that wait for a retry
	Running int   // tasks handed out, stale ones too
	Parked  int   // keys held after a dead letter
}

// Stats reports the current numbers.
func (c *Core[T]) Stats() Stats {
	return Stats{
		Lanes: c.owned, Keys: c.nkeys, Items: c.items, Bytes: c.bytes,
		Ready: c.ready.n, Waiting: len(c.timers.keys), Running: c.running, Parked: len(c.parked),
	}
}

// Running is the number of the lane's tasks that are handed out and not
// finished, stale ones too.
func (c *Core[T]) Running(lane string) int {
	if l := c.lanes[lane]; l != nil {
		return l.running
	}
	return 0
}

// Span is the number of the lane's records from the first unfinished one to the
// last delivered one: what Config.MaxSpan bounds.
func (c *Core[T]) Span(lane string) int {
	if l := c.lanes[lane]; l != nil {
		return int(l.span.len())
	}
	return 0
}
