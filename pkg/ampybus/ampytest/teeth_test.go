package ampytest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// found runs a service for a few seeds and counts what Check finds.
func found(t *testing.T, p Plan, s Service) map[Kind]int {
	t.Helper()
	kinds := make(map[Kind]int)
	p = p.withDefaults()
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			for _, f := range newTrial(t, p, seed).run(s).Findings {
				kinds[f.Kind]++
			}
		})
	}
	return kinds
}

func TestBrokenServicesAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		service Service
		want    Kind
	}{
		"applies repeats again":         {with("no dedupe"), EffectTwice},
		"lets a former owner in":        {with("no fence"), EffectStale},
		"marks before the effect":       {markFirst, LostMiddle},
		"swallows errors":               {swallows, LostMiddle},
		"hands work to the background":  {background, KeyInverted},
		"forgets what it marked":        {forgetful, EffectTwice},
		"reports effects of others too": {inventive, UnknownEffect},
	} {
		t.Run(name, func(t *testing.T) {
			if kinds := found(t, orders(), c.service); kinds[c.want] == 0 {
				t.Errorf("found %v, want %s", kinds, c.want)
			}
		})
	}
}

// handler is a service whose processes share nothing but what h closes over.
func handler(h func(trial *Trial) ampybus.Handler) Service {
	return func(_ *testing.T, trial *Trial) func(*ampybus.Bus) ampybus.Handler {
		inner := h(trial)
		return func(*ampybus.Bus) ampybus.Handler { return inner }
	}
}

// markFirst marks a message as applied, and then fails once.
func markFirst(t *testing.T, trial *Trial) func(*ampybus.Bus) ampybus.Handler {
	return handler(func(trial *Trial) ampybus.Handler {
		l, tried := newLedger(""), make(map[string]bool)
		return func(_ context.Context, m *ampybus.Message) error {
			return l.apply(m, func(m *ampybus.Message) {
				if id := m.Headers.MessageID; id[len(id)-1] == '0' && !tried[id] {
					tried[id] = true // the effect fails here
					return
				}
				trial.Effect(m)
			})
		}
	})(t, trial)
}

// swallows reports success of what failed.
func swallows(t *testing.T, trial *Trial) func(*ampybus.Bus) ampybus.Handler {
	return handler(func(trial *Trial) ampybus.Handler {
		l := newLedger("")
		return func(_ context.Context, m *ampybus.Message) error {
			if id := m.Headers.MessageID; id[len(id)-1] == '0' {
				return nil
			}
			return l.apply(m, trial.Effect)
		}
	})(t, trial)
}

// background applies every second message of a key when the next one comes.
func background(t *testing.T, trial *Trial) func(*ampybus.Bus) ampybus.Handler {
	return handler(func(trial *Trial) ampybus.Handler {
		l, held := newLedger(""), make(map[string]*ampybus.Message)
		return func(_ context.Context, m *ampybus.Message) error {
			return l.apply(m, func(m *ampybus.Message) {
				k := m.Headers.PartitionKey
				if before := held[k]; before != nil {
					delete(held, k)
					trial.Effect(m)
					trial.Effect(before)
					return
				}
				held[k] = m
			})
		}
	})(t, trial)
}

// forgetful keeps in memory what it applied.
func forgetful(_ *testing.T, trial *Trial) func(*ampybus.Bus) ampybus.Handler {
	return func(*ampybus.Bus) ampybus.Handler {
		l := newLedger("")
		return func(_ context.Context, m *ampybus.Message) error { return l.apply(m, trial.Effect) }
	}
}

// inventive reports an effect of a message that nobody sent.
func inventive(t *testing.T, trial *Trial) func(*ampybus.Bus) ampybus.Handler {
	return handler(func(trial *Trial) ampybus.Handler {
		return func(_ context.Context, m *ampybus.Message) error {
			c := m.Clone()
			c.Headers.MessageID = ampybus.NewID()
			trial.Effect(c)
			return nil
		}
	})(t, trial)
}

// told is a history made by hand: a log of records a1, b1, a2 at positions 1
// to 3, delivered to member m as epoch 1, applied and committed.
func told() []Event {
	rec := func(op Op, id string, pos uint64) Event {
		return Event{Op: op, Phase: OK, Key: id[:1], ID: id, As: id, Log: "l", Lane: "l", Epoch: 1, Pos: pos, Hash: id, Head: "h", Proc: "m"}
	}
	var es []Event
	for i, id := range []string{"a1", "b1", "a2"} {
		invoke := rec(OpPublish, id, 0)
		invoke.Phase = Invoke
		es = append(es, invoke, rec(OpStore, id, uint64(i)+1), rec(OpPublish, id, 0))
	}
	es = append(es, Event{Op: OpOwn, Lane: "l", Epoch: 1, Pos: 1, Proc: "m"})
	for i, id := range []string{"a1", "b1", "a2"} {
		es = append(es, rec(OpDeliver, id, uint64(i)+1), rec(OpEffect, id, uint64(i)+1))
	}
	es = append(es,
		Event{Op: OpCommit, Phase: Invoke, Lane: "l", Epoch: 1, Pos: 4, Proc: "m"},
		Event{Op: OpCommit, Phase: OK, Lane: "l", Epoch: 1, Pos: 4, Proc: "m"})
	for i, id := range []string{"a1", "b1", "a2"} {
		es = append(es, rec(OpHold, id, uint64(i)+1))
	}
	return es
}

// nth returns the index of the nth event of an operation on a message.
func nth(es []Event, op Op, id string, n int) int {
	for i := range es {
		if es[i].Op == op && (es[i].ID == id || id == "") {
			if n == 0 {
				return i
			}
			n--
		}
	}
	panic("no such event")
}

func without(es []Event, drop func(Event) bool) []Event {
	var kept []Event
	for _, e := range es {
		if !drop(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

func effectOf(id string) func(Event) bool {
	return func(e Event) bool { return e.Op == OpEffect && e.ID == id }
}

func letter(origin, id, bytes string) Event {
	return Event{Op: OpLetter, Key: id[:1], ID: id, Origin: origin, Hash: bytes, Head: "h"}
}

func TestEveryCheckerFindsWhatItIsFor(t *testing.T) {
	for kind, edit := range map[Kind]func(es []Event) []Event{
		NotStored: func(es []Event) []Event {
			return without(es, func(e Event) bool { return e.ID == "b1" && e.Op != OpPublish })
		},
		StoredFailed: func(es []Event) []Event {
			es = without(es, func(e Event) bool { return e.ID == "b1" && e.Op == OpStore })
			es[nth(es, OpPublish, "b1", 1)].Phase = Fail
			return es
		},
		StoredTwice: func(es []Event) []Event {
			again := es[nth(es, OpHold, "b1", 0)]
			again.Pos = 4
			return append(es, again)
		},
		StoredInverted: func(es []Event) []Event {
			i, j := nth(es, OpHold, "a1", 0), nth(es, OpHold, "a2", 0)
			es[i].Pos, es[j].Pos = 3, 1
			return es
		},
		PosDiverged: func(es []Event) []Event {
			es[nth(es, OpDeliver, "b1", 0)].Hash = "other"
			return es
		},
		LostPrefix: func(es []Event) []Event { return without(es, effectOf("a1")) },
		LostSuffix: func(es []Event) []Event { return without(es, effectOf("a2")) },
		LostMiddle: func(es []Event) []Event {
			for _, i := range []int{nth(es, OpEffect, "b1", 0), nth(es, OpPublish, "b1", 0), nth(es, OpHold, "b1", 0)} {
				es[i].Key = "a"
			}
			return without(es, effectOf("b1"))
		},
		UnknownEffect: func(es []Event) []Event {
			es[nth(es, OpEffect, "b1", 0)].ID = "x1"
			return es
		},
		EffectTwice: func(es []Event) []Event { return append(es, es[nth(es, OpEffect, "b1", 0)]) },
		EffectStale: func(es []Event) []Event {
			es[nth(es, OpEffect, "b1", 0)].Epoch = 2
			return es
		},
		KeyInverted: func(es []Event) []Event {
			i, j := nth(es, OpEffect, "a1", 0), nth(es, OpEffect, "a2", 0)
			es[i], es[j] = es[j], es[i]
			return es
		},
		CommitBeyondDone: func(es []Event) []Event {
			i, j := nth(es, OpEffect, "a2", 0), nth(es, OpCommit, "", 0)
			es[i], es[j] = es[j], es[i]
			return es
		},
		CommitBackwards: func(es []Event) []Event {
			return append(es, Event{Op: OpCommit, Phase: Invoke, Lane: "l", Epoch: 1, Pos: 3})
		},
		DeadMissing: func(es []Event) []Event {
			return append(without(es, effectOf("b1")), Event{Op: OpExpect, ID: "b1"})
		},
		DeadTwice: func(es []Event) []Event {
			return append(es, letter("l:2", "b1", "b1"), letter("l:2", "b1", "b1"))
		},
		DeadChanged: func(es []Event) []Event { return append(es, letter("l:2", "b1", "mended")) },
		GapUnreported: func(es []Event) []Event {
			return without(es, func(e Event) bool { return e.ID == "b1" && (e.Op == OpHold || e.Op == OpEffect || e.Op == OpDeliver) })
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			h, err := NewHistory("ampy.dev.orders.v1.>", "g")
			if err != nil {
				t.Fatal(err)
			}
			h.events = told()
			if err := h.Check(Rules{}).Err(); err != nil {
				t.Fatalf("the unbroken history: %v", err)
			}
			h.events = edit(told())
			r := h.Check(Rules{})
			if r.Count(kind) == 0 {
				t.Errorf("found %v, want %s", r.Err(), kind)
			}
			if err := r.Err(); errors.Unwrap(err) != nil || err == nil {
				t.Errorf("Err: %v", err)
			}
		})
	}
}

func TestAReportedGapIsNoLoss(t *testing.T) {
	h, _ := NewHistory("ampy.dev.orders.v1.>", "g")
	h.events = without(told(), func(e Event) bool { return e.ID == "b1" && e.Op != OpPublish && e.Op != OpStore })
	h.events = append(h.events, Event{Op: OpGap, Lane: "l", Pos: 2, To: 3})
	if err := h.Check(Rules{}).Err(); err != nil {
		t.Error(err)
	}
}

func TestParkedKeysMustNotBeOvertaken(t *testing.T) {
	h, _ := NewHistory("ampy.dev.orders.v1.>", "g")
	es := without(told(), effectOf("a1"))
	redriven := told()[nth(told(), OpEffect, "a1", 0)]
	redriven.Pos = 4
	held := told()[nth(told(), OpHold, "a1", 0)]
	held.Pos = 4
	h.events = append(es, letter("l:1", "a1", "a1"), Event{Op: OpDead, Phase: OK, Key: "a", ID: "a1", Origin: "l:1"},
		Event{Op: OpStore, Phase: OK, Key: "a", ID: "a1", As: "a1.redrive.1", Log: "l", Pos: 4, Hash: "a1"}, redriven, held)
	if r := h.Check(Rules{}); r.Count(KeyInverted) != 0 {
		t.Errorf("skipping: %v", r.Err())
	}
	if r := h.Check(Rules{Parks: true}); r.Count(KeyInverted) != 1 {
		t.Errorf("parking: %v", r.Err())
	}
}

// A broker may not tell where a record of a batch lies. If it is gone, only a
// gap between those of its key before and after explains that.
func TestAnUntoldPositionIsExplainedByAGapInItsPlaceOnly(t *testing.T) {
	stored := func(id string, pos uint64) []Event {
		e := Event{Key: "a", ID: id, As: id, Hash: id}
		call, done, store := e, e, e
		call.Op, call.Phase = OpPublish, Invoke
		done.Op, done.Phase = OpPublish, OK
		store.Op, store.Phase, store.Pos = OpStore, OK, pos
		if pos > 0 {
			store.Log = "log"
		}
		return []Event{call, store, done}
	}
	for name, c := range map[string]struct {
		from, to uint64
		want     int
	}{
		"in its place":     {3, 5, 0},
		"around its place": {1, 9, 0},
		"before":           {1, 3, 1},
		"behind":           {6, 9, 1},
		"none":             {0, 0, 1},
	} {
		h := &History{}
		for _, e := range slices.Concat(stored("a1", 2), stored("a2", 0), stored("a3", 6)) {
			h.Note(e)
		}
		h.Note(Event{Op: OpGap, Lane: "log", Pos: c.from, To: c.to})
		found := 0
		for _, f := range h.Check(Rules{}).Findings {
			if f.Kind == NotStored {
				found++
			}
		}
		if found != c.want {
			t.Errorf("a gap %s: %d findings, want %d", name, found, c.want)
		}
	}
}
