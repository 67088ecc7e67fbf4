package keyed

import "time"

// timerHeap orders the keys that wait by the time at which they may run again.
// It is typed, and knows each key's place, so that it allocates nothing and can
// drop a key at once.
type timerHeap[T any] struct {
	keys  []*key[T]
	count uint64
}

func (h *timerHeap[T]) push(k *key[T], at time.Time) {
	h.count++
	k.at, k.order = at, h.count
	h.keys = append(h.keys, k)
	k.timer = len(h.keys)
	h.up(len(h.keys) - 1)
}

func (h *timerHeap[T]) remove(k *key[T]) {
	i, last := k.timer-1, len(h.keys)-1
	h.swap(i, last)
	h.keys[last] = nil
	h.keys = h.keys[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
	k.timer, k.at, k.order = 0, time.Time{}, 0
}

func (h *timerHeap[T]) less(i, j int) bool {
	a, b := h.keys[i], h.keys[j]
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.order < b.order
}

func (h *timerHeap[T]) swap(i, j int) {
	h.keys[i], h.keys[j] = h.keys[j], h.keys[i]
	h.keys[i].timer, h.keys[j].timer = i+1, j+1
}

func (h *timerHeap[T]) up(i int) {
	for i > 0 && h.less(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *timerHeap[T]) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.keys) {
			return
		}
		if c+1 < len(h.keys) && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return
		}
		h.swap(i, c)
		i = c
	}
}
