package inbox_test

import (
	"testing"

	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/inbox"
)

func TestADeadMessageIsNotAppliedBehindItsSuccessors(t *testing.T) {
	onEach(t, func(w *world) {
		dead, next := message("A", "1"), message("A", "2")
		w.must(w.in.MarkDead(t.Context(), dead))
		w.must(w.in.MarkDead(t.Context(), dead)) // its dead letter was stored twice
		w.must(apply(w.in, next))
		// The process died before it committed: both come again, elsewhere.
		owner := w.inbox(w.open())
		w.must(apply(owner, at(2, dead)))
		w.must(apply(owner, at(2, next)))
		w.wantEffects("A=2")
		w.wantStats(owner, inbox.Stats{NoOp: 2})
	})
}

func TestARedrivenDeadLetterIsAppliedOnce(t *testing.T) {
	onEach(t, func(w *world) {
		dead := message("A", "1")
		w.must(w.in.MarkDead(t.Context(), dead))
		again := redriven(dead)
		w.must(w.in.MarkDead(t.Context(), again)) // it died once more
		w.must(apply(w.in, again))
		w.wantEffects("")
		for range 2 {
			w.must(apply(w.in, redriven(again)))
		}
		w.must(apply(w.in, dead)) // a replay
		w.wantEffects("A=1")
	})
}

func TestARedriveMayCarryACorrectedPayload(t *testing.T) {
	onEach(t, func(w *world) {
		dead := message("A", "1")
		w.must(w.in.MarkDead(t.Context(), dead))
		fixed := with(redriven(dead), func(m *ampybus.Message) { m.Payload = []byte("2") })
		w.must(apply(w.in, fixed))
		w.must(apply(w.in, fixed))
		w.wantEffects("A=2")
	})
}

func TestAMessageThatNeverRanIsAppliedByItsRedrive(t *testing.T) {
	onEach(t, func(w *world) {
		w.must(apply(w.in, redriven(message("A", "1"))))
		w.wantEffects("A=1")
	})
}

func TestARedriveOfAnAppliedMessageIsANoOp(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		m.Headers.DedupeKey = "co_1"
		w.must(apply(w.in, m))
		w.must(apply(w.in, redriven(m)))
		w.must(w.in.MarkDead(t.Context(), redriven(m)))
		w.must(apply(w.in, redriven(redriven(m))))
		w.wantEffects("A=1")
	})
}

func TestTheDeadLetterOfAConflictReplacesNothing(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		forged := with(m, func(m *ampybus.Message) { m.Payload, m.Pos = []byte("2"), positions.Add(1) })
		w.must(apply(w.in, m))
		wantPoison(t, apply(w.in, forged), ampybus.ReasonIDConflict)
		w.must(w.in.MarkDead(t.Context(), forged))
		wantPoison(t, apply(w.in, forged), ampybus.ReasonIDConflict)
		w.must(apply(w.in, m))
		w.wantEffects("A=1")
	})
}

func TestADedupeKeyIsNotTakenByADeadMessage(t *testing.T) {
	onEach(t, func(w *world) {
		dead := with(message("A", "1"), func(m *ampybus.Message) { m.Headers.DedupeKey = "co_1" })
		w.must(w.in.MarkDead(t.Context(), dead))
		other := with(message("A", "2"), func(m *ampybus.Message) { m.Headers.DedupeKey = "co_1" })
		w.must(apply(w.in, other))
		wantPoison(t, apply(w.in, redriven(dead)), ampybus.ReasonDedupeConflict)
		w.wantEffects("A=2")
	})
}

// What could not be unpacked when it died has other bytes when it can be.
func TestADeadRecordThatCanBeUnpackedLaterStaysDead(t *testing.T) {
	onEach(t, func(w *world) {
		m := message("A", "1")
		w.must(w.in.MarkDead(t.Context(), with(m, func(m *ampybus.Message) { m.Payload = nil })))
		w.must(apply(w.in, m))
		w.wantEffects("")
		other := with(m, func(m *ampybus.Message) { m.Pos = positions.Add(1) })
		wantPoison(t, apply(w.in, other), ampybus.ReasonIDConflict)
	})
}

func TestAStaleOwnerMarksNothingDead(t *testing.T) {
	onEach(t, func(w *world) {
		w.must(apply(w.inbox(w.open()), at(2, message("A", "1"))))
		m := message("A", "2")
		wantFenced(t, w.in.MarkDead(t.Context(), at(1, m)))
		w.must(apply(w.in, at(3, m)))
		w.wantEffects("A=1 A=2")
	})
}

func TestAMessageWithoutAnIdentityNeedsNoMark(t *testing.T) {
	onEach(t, func(w *world) {
		w.must(w.in.MarkDead(t.Context(), with(message("A", "1"), func(m *ampybus.Message) { m.Headers.MessageID = "x" })))
	})
}
