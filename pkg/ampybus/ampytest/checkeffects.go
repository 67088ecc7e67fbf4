package ampytest

// checkEffects checks that each message takes effect once, in its key's order,
// and by the lane's present owner.
func (a *audit) checkEffects() {
	last := make(map[string]place)   // of a key: where the latest effect came from
	nths := make(map[string]int)     // of a key: the latest message applied
	epochs := make(map[string]Event) // of a lane: the effect with the highest epoch
	for i := range a.events {
		e := &a.events[i]
		if e.Op != OpEffect {
			continue
		}
		m := a.msgs[e.ID]
		if m == nil {
			a.find(UnknownEffect, e.Key, e.ID, "nobody published it, and no log holds it")
			continue
		}
		a.checkOwner(e, epochs)
		m.effects++
		if m.effects > 1 {
			if !a.rules.Repeats {
				a.find(EffectTwice, e.Key, e.ID, "effect %d, by %s at epoch %d from %v", m.effects, e.Proc, e.Epoch, place{e.Log, e.Pos})
			}
			continue
		}
		if p, ok := last[e.Key]; ok && p.log == e.Log && e.Pos < p.pos {
			a.find(KeyInverted, e.Key, e.ID, "took effect from %v, after a later one from %v", place{e.Log, e.Pos}, p)
		}
		last[e.Key] = place{e.Log, e.Pos}
		if a.rules.Parks && m.nth < nths[e.Key] {
			a.find(KeyInverted, e.Key, e.ID, "message %d of its key took effect after message %d, which overtook a dead letter", m.nth+1, nths[e.Key]+1)
		}
		nths[e.Key] = max(nths[e.Key], m.nth)
	}
}

func (a *audit) checkOwner(e *Event, epochs map[string]Event) {
	latest, ok := epochs[e.Lane]
	switch {
	case ok && e.Epoch < latest.Epoch && !a.rules.Repeats:
		a.find(EffectStale, e.Key, e.ID, "by %s at epoch %d, after %s had an effect at epoch %d", e.Proc, e.Epoch, latest.Proc, latest.Epoch)
	case !ok || e.Epoch > latest.Epoch:
		epochs[e.Lane] = *e
	}
}

// checkLosses looks for messages that are neither applied, nor a dead letter,
// nor in a gap that was reported.
func (a *audit) checkLosses() {
	for _, key := range a.names {
		ms := a.keys[key]
		first, last := len(ms), -1
		for i, m := range ms {
			if m.effects > 0 {
				first, last = min(first, i), max(last, i)
			}
		}
		for i, m := range ms {
			if m.effects > 0 || m.dead && !a.rules.Redriven || !m.due() || a.gone(m) {
				continue
			}
			kind := LostMiddle
			switch {
			case m.poison:
				kind = DeadMissing
			case i < first:
				kind = LostPrefix
			case i > last:
				kind = LostSuffix
			}
			a.find(kind, key, m.id, "message %d of %d of its key, stored at %v, is neither applied nor a dead letter", i+1, len(ms), append(m.held, m.stored...))
		}
	}
}

// due tells whether the message must have been handled: it is, or was, stored.
func (m *message) due() bool { return len(m.held) > 0 || len(m.stored) > 0 }

// gone tells whether no log holds the message any more, and finds gaps that
// nobody reported.
func (a *audit) gone(m *message) bool {
	if len(m.held) > 0 {
		return false
	}
	for _, p := range m.stored {
		if !a.log(p.log).reported(p.pos) {
			a.find(GapUnreported, m.key, m.id, "stored at %v, gone, and no gap was reported", p)
		}
	}
	return true
}
