package ampybus

import "slices"

// parkedKey lists a key's open dead letters, oldest first. A key that nobody
// looks after collects all its messages, so each step must cost the same however
// many there are.
type parkedKey struct {
	open  []letter
	gone  int          // taken off the front: the numbers of the index count them
	index *letterIndex // nil: not made yet, or out of date
}

// letterIndex finds a letter by its place and by its message. It holds numbers:
// places in open, counted from the first letter that the index has seen.
type letterIndex struct {
	places map[string]int
	deaths map[death]int // several: of more than one letter
}

// death is what a letter is about: a message that died in a lane.
type death struct{ id, lane string }

// several letters of one death are looked for one by one. A message that dies
// again replaces its letter, so that is rare.
const several = -1

// indexFrom letters on an index is worth its memory.
const indexFrom = 32

func (l *letter) death() death { return death{l.id, l.lane} }

// cause names the message that the key waits for.
func (p *parkedKey) cause() string { return p.open[0].id }

// put takes l in: a redriven copy's death in the place of the one before, a
// death that is known already not at all.
func (p *parkedKey) put(l letter) {
	if p.place(l.at) >= 0 {
		return
	}
	i := p.outdated(&l)
	if i < 0 {
		p.open = append(p.open, l)
		p.note(len(p.open) - 1)
		return
	}
	l.from = p.open[i].from
	if p.index != nil {
		delete(p.index.places, p.open[i].at)
		p.index.places[l.at] = p.gone + i
	}
	p.open[i] = l
}

// place is where the dead letter at origin is in the list; -1 where it is not.
func (p *parkedKey) place(origin string) int {
	if !p.indexed() {
		return slices.IndexFunc(p.open, func(x letter) bool { return x.at == origin })
	}
	if n, ok := p.index.places[origin]; ok {
		return n - p.gone
	}
	return -1
}

// outdated is the place of an earlier death of l's message; -1 without one.
func (p *parkedKey) outdated(l *letter) int {
	n, ok := several, true
	if p.indexed() {
		n, ok = p.index.deaths[l.death()]
	}
	switch {
	case !ok:
		return -1
	case n == several:
		return slices.IndexFunc(p.open, func(x letter) bool { return x.death() == l.death() && x.retry < l.retry })
	case p.open[n-p.gone].retry < l.retry:
		return n - p.gone
	}
	return -1
}

// indexed makes the index where it is worth it.
func (p *parkedKey) indexed() bool {
	if p.index != nil {
		return true
	}
	if len(p.open) < indexFrom {
		return false
	}
	p.gone = 0
	p.index = &letterIndex{places: make(map[string]int, len(p.open)), deaths: make(map[death]int, len(p.open))}
	for i := range p.open {
		p.note(i)
	}
	return true
}

// note puts letter i into the index.
func (p *parkedKey) note(i int) {
	if p.index == nil {
		return
	}
	l := &p.open[i]
	p.index.places[l.at] = p.gone + i
	if _, known := p.index.deaths[l.death()]; known {
		p.index.deaths[l.death()] = several
		return
	}
	p.index.deaths[l.death()] = p.gone + i
}

// takeOff removes letter i. Letters are settled from the oldest on.
func (p *parkedKey) takeOff(i int) {
	if i > 0 {
		p.open, p.index = slices.Delete(p.open, i, i+1), nil
		return
	}
	l := &p.open[0]
	if p.index != nil {
		delete(p.index.places, l.at)
		if p.index.deaths[l.death()] != several {
			delete(p.index.deaths, l.death())
		}
	}
	*l = letter{}
	p.open, p.gone = p.open[1:], p.gone+1
}

// drop removes the letters that out selects.
func (p *parkedKey) drop(out func(letter) bool) {
	before := len(p.open)
	p.open = slices.DeleteFunc(p.open, out)
	if len(p.open) != before {
		p.index = nil
	}
}

// first is the oldest open dead letter of a lane, -1 if it has none.
func (p *parkedKey) first(lane string) int {
	return slices.IndexFunc(p.open, func(l letter) bool { return l.lane == lane })
}
