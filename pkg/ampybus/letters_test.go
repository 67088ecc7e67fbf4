package ampybus

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// shortList is what parkedKey does, one letter after the other.
type shortList []letter

func (s *shortList) put(l letter) {
	for i, x := range *s {
		switch {
		case x.at == l.at:
			return
		case x.id == l.id && x.lane == l.lane && x.retry < l.retry:
			l.from = x.from
			(*s)[i] = l
			return
		}
	}
	*s = append(*s, l)
}

func (s *shortList) drop(out func(letter) bool) {
	*s = slices.DeleteFunc(*s, out)
}

// A key with many dead letters has an index of them, which must never differ
// from looking at all.
func TestManyDeadLettersOfAKeyAreFoundAsFewAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p parkedKey
		var want shortList
		records := 0
		for range rapid.IntRange(1, 40*indexFrom).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 19).Draw(t, "op"); {
			case op < 13: // a message dies, sometimes again
				records++
				l := letter{
					at: fmt.Sprintf("DLQ:%d", records), id: fmt.Sprint("m", rapid.IntRange(0, 200).Draw(t, "message")),
					retry: rapid.IntRange(0, 2).Draw(t, "retry"), lane: fmt.Sprint("lane", records%2), from: uint64(records),
				}
				p.put(l)
				want.put(l)
			case len(want) == 0:
			case op < 14: // a dead letter is read twice
				l := want[rapid.IntRange(0, len(want)-1).Draw(t, "again")]
				p.put(l)
				want.put(l)
			case op < 18: // the oldest is settled
				p.takeOff(0)
				want = want[1:]
			case op < 19: // any
				at := want[rapid.IntRange(0, len(want)-1).Draw(t, "settled")].at
				p.takeOff(p.place(at))
				want.drop(func(l letter) bool { return l.at == at })
			default:
				none := rapid.IntRange(0, 3).Draw(t, "retries")
				out := func(l letter) bool { return l.retry > none }
				p.drop(out)
				want.drop(out)
			}
			if !slices.Equal(p.open, want) {
				t.Fatalf("letters\n%v, want\n%v", p.open, want)
			}
			if len(want) > 0 && p.cause() != want[0].id {
				t.Fatalf("cause %s, want %s", p.cause(), want[0].id)
			}
			if i := rapid.IntRange(-1, len(want)-1).Draw(t, "look for"); i >= 0 && p.place(want[i].at) != i || p.place("DLQ:0") != -1 {
				t.Fatalf("letter %d is at %d", i, p.place(want[i].at))
			}
		}
	})
}
