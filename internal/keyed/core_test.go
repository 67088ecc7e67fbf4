package keyed_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
)

var (
	t0   = time.Unix(1_000_000, 0).UTC()
	done = keyed.Verdict{Outcome: keyed.Done}
)

// newCore is a core that owns lane "a" at epoch 1 from position 1.
func newCore(c keyed.Config) *keyed.Core[string] {
	k := keyed.New[string](c)
	k.Assign("a", 1, 1)
	return k
}

func item(lane string, epoch, pos uint64, key string) keyed.Item[string] {
	return keyed.Item[string]{Lane: lane, Epoch: epoch, Pos: pos, Key: key, Size: 10}
}

func add(t *testing.T, c *keyed.Core[string], pos uint64, key string) {
	t.Helper()
	if !c.Add(item("a", 1, pos, key)) {
		t.Fatalf("position %d refused", pos)
	}
}

func next(t *testing.T, c *keyed.Core[string], at time.Time, pos uint64) keyed.Task[string] {
	t.Helper()
	task, ok := c.Next(at)
	if !ok || task.Pos != pos {
		t.Fatalf("next: got position %d (%v), want %d", task.Pos, ok, pos)
	}
	return task
}

func none(t *testing.T, c *keyed.Core[string], at time.Time) {
	t.Helper()
	if task, ok := c.Next(at); ok {
		t.Fatalf("position %d of key %q handed out, want none", task.Pos, task.Key)
	}
}

func low(t *testing.T, c *keyed.Core[string], want uint64) {
	t.Helper()
	if got, _, ok := c.Low("a"); !ok || got != want {
		t.Fatalf("low: got %d (%v), want %d", got, ok, want)
	}
}

func TestFailingKeyHoldsBackOnlyItself(t *testing.T) {
	c := newCore(keyed.Config{})
	add(t, c, 1, "bad")
	add(t, c, 2, "good")
	add(t, c, 3, "bad")
	bad, good := next(t, c, t0, 1), next(t, c, t0, 2)
	none(t, c, t0)
	c.Finish(bad, keyed.Verdict{After: time.Second}, t0)
	c.Finish(good, done, t0)
	low(t, c, 1)
	none(t, c, t0.Add(time.Second-1))
	if at, ok := c.Wake(); !ok || !at.Equal(t0.Add(time.Second)) {
		t.Fatalf("wake: got %v (%v)", at, ok)
	}
	again := next(t, c, t0.Add(time.Second), 1)
	if again.Attempt != 2 || !again.FirstTried.Equal(t0) {
		t.Fatalf("attempt %d first tried %v, want 2 and %v", again.Attempt, again.FirstTried, t0)
	}
	c.Finish(again, done, t0)
	low(t, c, 3)
	c.Finish(next(t, c, t0, 3), done, t0)
	low(t, c, 4)
}

func TestKeysTakeTurns(t *testing.T) {
	c := newCore(keyed.Config{})
	for pos, key := range []string{"a", "a", "a", "b", "c"} {
		add(t, c, uint64(pos+1), key)
	}
	var got []uint64
	for range 5 {
		task, _ := c.Next(t0)
		got = append(got, task.Pos)
		c.Finish(task, done, t0)
	}
	if want := []uint64{1, 4, 5, 2, 3}; !slices.Equal(got, want) {
		t.Fatalf("order of positions: got %v, want %v", got, want)
	}
}

func TestLowPassesGapsOnlyWhenFinished(t *testing.T) {
	c := newCore(keyed.Config{})
	low(t, c, 1)
	add(t, c, 5, "x")
	add(t, c, 900, "y")
	x, y := next(t, c, t0, 5), next(t, c, t0, 900)
	c.Finish(y, done, t0)
	low(t, c, 5)
	c.Finish(x, done, t0)
	low(t, c, 901)
}

func TestKnownPositionsAndForeignEpochsAreRefused(t *testing.T) {
	c := newCore(keyed.Config{})
	add(t, c, 5, "x")
	for _, it := range []keyed.Item[string]{
		item("a", 1, 5, "x"), item("a", 1, 4, "x"), item("a", 0, 6, "x"), item("a", 2, 6, "x"), item("b", 1, 6, "x"),
	} {
		if c.Add(it) {
			t.Errorf("lane %s epoch %d position %d was taken", it.Lane, it.Epoch, it.Pos)
		}
	}
	c.Assign("a", 1, 1) // delivery resumes
	if c.Add(item("a", 1, 5, "x")) {
		t.Error("known position was taken after delivery resumed")
	}
	c.Finish(next(t, c, t0, 5), done, t0)
	low(t, c, 6)
}

func TestStaleVerdictsCountForNothing(t *testing.T) {
	c := newCore(keyed.Config{})
	add(t, c, 1, "x")
	stale := next(t, c, t0, 1)
	c.Assign("a", 2, 1)
	if !c.Add(item("a", 2, 1, "x")) {
		t.Fatal("redelivered position refused in a new epoch")
	}
	none(t, c, t0) // the stale run of the key has not ended
	c.Finish(stale, keyed.Verdict{Outcome: keyed.Dead, Park: true, Cause: "1"}, t0)
	low(t, c, 1)
	again := next(t, c, t0, 1)
	if again.Epoch != 2 || again.Attempt != 1 || again.Parked {
		t.Fatalf("got epoch %d attempt %d parked %v", again.Epoch, again.Attempt, again.Parked)
	}
	c.Finish(stale, done, t0)
	low(t, c, 1)
	c.Finish(again, done, t0)
	low(t, c, 2)
}

func TestRevokedLaneReturnsOnlyWithAHigherEpoch(t *testing.T) {
	c := newCore(keyed.Config{})
	add(t, c, 1, "x")
	c.Revoke("a")
	none(t, c, t0)
	for _, epoch := range []uint64{0, 1} {
		c.Assign("a", epoch, 1)
		if _, _, ok := c.Low("a"); ok || c.CanFetch("a") || c.Add(item("a", epoch, 2, "x")) {
			t.Fatalf("lane came back at epoch %d", epoch)
		}
	}
	c.Assign("a", 2, 7)
	low(t, c, 7)
	if s := c.Stats(); s != (keyed.Stats{Lanes: 1}) {
		t.Fatalf("after revoke: %+v", s)
	}
}

func TestDrainFinishesWhatRuns(t *testing.T) {
	c := newCore(keyed.Config{})
	for pos, key := range []string{"x", "y", "x", "z", "w"} {
		add(t, c, uint64(pos+1), key)
	}
	x, y := next(t, c, t0, 1), next(t, c, t0, 2)
	w := next(t, c, t0, 4)
	c.Drain("a")
	none(t, c, t0)
	if c.CanFetch("a") || c.Add(item("a", 1, 6, "x")) {
		t.Fatal("a draining lane takes more")
	}
	if n := c.Running("a"); n != 3 {
		t.Fatalf("%d run, want 3", n)
	}
	c.Finish(x, done, t0)
	c.Finish(w, keyed.Verdict{After: time.Second}, t0)
	c.Finish(y, done, t0)
	low(t, c, 3)
	if s := c.Stats(); s != (keyed.Stats{Lanes: 1}) {
		t.Fatalf("drained lane still holds %+v", s)
	}
}

func TestParkedKeyHandsItsItemsOutInOrderUntilReleased(t *testing.T) {
	c := newCore(keyed.Config{})
	for pos := uint64(1); pos <= 4; pos++ {
		add(t, c, pos, "x")
	}
	c.Finish(next(t, c, t0, 1), keyed.Verdict{Outcome: keyed.Dead, Park: true, Cause: "first"}, t0)
	second := next(t, c, t0, 2)
	if !second.Parked || second.Predecessor != "first" {
		t.Fatalf("successor: %+v", second)
	}
	c.Finish(second, keyed.Verdict{Outcome: keyed.Dead, Park: true, Cause: "second"}, t0)
	third := next(t, c, t0, 3)
	if third.Predecessor != "first" {
		t.Fatalf("predecessor %q, want the one that parked the key", third.Predecessor)
	}
	c.Release("x")
	c.Finish(third, keyed.Verdict{Outcome: keyed.Dead, Park: true, Cause: "third"}, t0)
	if fourth := next(t, c, t0, 4); fourth.Parked {
		t.Fatal("a task handed out before the release parked the key again")
	}
}

func TestReleaseStartsOverAtOnce(t *testing.T) {
	c := newCore(keyed.Config{})
	c.Park("x", "dead")
	add(t, c, 1, "x")
	c.Finish(next(t, c, t0, 1), keyed.Verdict{After: time.Hour}, t0)
	c.Release("x")
	later := t0.Add(time.Minute)
	task := next(t, c, later, 1)
	if task.Attempt != 1 || !task.FirstTried.Equal(later) || task.Parked {
		t.Fatalf("after release: %+v", task)
	}
	c.Park("x", "again")
	c.Release("x") // while the item runs
	c.Finish(task, keyed.Verdict{After: time.Second}, later)
	if task := next(t, c, later.Add(time.Second), 1); task.Attempt != 2 {
		t.Fatalf("attempt %d of an item that the handler has tried once", task.Attempt)
	}
}

func TestRetryOfATaskReleasedMeanwhileIsNoAttempt(t *testing.T) {
	c := newCore(keyed.Config{})
	c.Park("x", "dead")
	add(t, c, 1, "x")
	parked := next(t, c, t0, 1)
	c.Release("x")
	c.Finish(parked, keyed.Verdict{After: time.Hour}, t0)
	if task := next(t, c, t0, 1); task.Attempt != 1 || task.Parked {
		t.Fatalf("attempt %d, parked %v", task.Attempt, task.Parked)
	}
}

func TestParkingGoesByKeyInEveryLane(t *testing.T) {
	c := newCore(keyed.Config{})
	c.Assign("b", 1, 1)
	add(t, c, 1, "x")
	c.Add(item("b", 1, 1, "x"))
	c.Park("x", "dead")
	c.Park("y", "dead too")
	c.Park("x", "later")
	for range 2 {
		if task, ok := c.Next(t0); !ok || task.Predecessor != "dead" {
			t.Fatalf("got %+v (%v)", task, ok)
		}
	}
	if got, want := fmt.Sprint(c.Parked()), "[{x dead} {y dead too}]"; got != want {
		t.Fatalf("parked: got %s, want %s", got, want)
	}
	c.Release("nobody")
	if n := c.Stats().Parked; n != 2 {
		t.Fatalf("%d parked, want 2", n)
	}
}

func TestUncountedRetriesCostNeitherAttemptNorTime(t *testing.T) {
	c := newCore(keyed.Config{})
	add(t, c, 1, "x")
	now := t0
	try := func(v keyed.Verdict) keyed.Task[string] {
		task := next(t, c, now, 1)
		now = now.Add(time.Second)
		c.Finish(task, v, now)
		now = now.Add(v.After)
		return task
	}
	try(keyed.Verdict{After: 4 * time.Second})
	for range 3 {
		try(keyed.Verdict{After: 9 * time.Second, Uncounted: true})
	}
	task := next(t, c, now, 1)
	if spent := now.Sub(task.FirstTried); task.Attempt != 2 || spent != 5*time.Second {
		t.Fatalf("attempt %d after %v, want 2 after 5s", task.Attempt, spent)
	}
}

func TestBackoffKnowsAttemptAndKey(t *testing.T) {
	var calls []string
	c := newCore(keyed.Config{Backoff: func(attempt int, key string) time.Duration {
		calls = append(calls, fmt.Sprint(key, attempt))
		return time.Second
	}})
	add(t, c, 1, "x")
	now := t0
	for range 3 {
		c.Finish(next(t, c, now, 1), keyed.Verdict{}, now)
		none(t, c, now)
		now = now.Add(time.Second)
	}
	if want := []string{"x1", "x2", "x3"}; !slices.Equal(calls, want) {
		t.Fatalf("backoff calls: got %v, want %v", calls, want)
	}
}

func TestTimersFireInOrder(t *testing.T) {
	c := newCore(keyed.Config{})
	waits := []int{5, 3, 9, 3, 1, 7, 3} // seconds
	for i := range waits {
		add(t, c, uint64(i+1), fmt.Sprint("key", i))
	}
	for _, d := range waits {
		task, _ := c.Next(t0)
		c.Finish(task, keyed.Verdict{After: time.Duration(d) * time.Second}, t0)
	}
	var got []uint64
	for range waits {
		at, _ := c.Wake()
		task, _ := c.Next(at)
		got = append(got, task.Pos)
	}
	if want := []uint64{5, 2, 4, 7, 1, 6, 3}; !slices.Equal(got, want) {
		t.Fatalf("order: got %v, want %v", got, want)
	}
}

func TestTimersSurviveRemovalInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCore(keyed.Config{})
		waits := rapid.SliceOfNDistinct(rapid.IntRange(1, 500), 20, 80, rapid.ID[int]).Draw(t, "waits")
		gone := rapid.SliceOfNDistinct(rapid.IntRange(0, len(waits)-1), 5, 20, rapid.ID[int]).Draw(t, "gone")
		for i, d := range waits {
			key := fmt.Sprint("key", i)
			c.Park(key, "dead")
			c.Add(item("a", 1, uint64(i+1), key))
			task, _ := c.Next(t0)
			c.Finish(task, keyed.Verdict{After: time.Duration(d) * time.Second}, t0)
		}
		for _, i := range gone { // a release takes the key out of the timers
			c.Release(fmt.Sprint("key", i))
			task, _ := c.Next(t0)
			c.Finish(task, done, t0)
			waits[i] = 0
		}
		slices.Sort(waits)
		for _, d := range waits[len(gone):] {
			at, ok := c.Wake()
			if want := t0.Add(time.Duration(d) * time.Second); !ok || !at.Equal(want) {
				t.Fatalf("wake: got %v (%v), want %v", at, ok, want)
			}
			task, _ := c.Next(at)
			c.Finish(task, done, at)
		}
	})
}

func TestUnknownTasksCountForNothing(t *testing.T) {
	c := newCore(keyed.Config{})
	add(t, c, 1, "x")
	c.Finish(keyed.Task[string]{Lane: "a", Epoch: 1, Pos: 1, Key: "x"}, done, t0)
	low(t, c, 1)
	first := next(t, c, t0, 1)
	c.Finish(first, done, t0)
	add(t, c, 2, "x")
	second := next(t, c, t0, 2)
	c.Finish(first, done, t0)
	low(t, c, 2)
	c.Finish(second, done, t0)
	low(t, c, 3)
}

func TestFetchingStopsAtEachLimit(t *testing.T) {
	for name, tc := range map[string]struct {
		config keyed.Config
		adds   int // items that fill it
		finish int // items, from the second one on, finished before asking
	}{
		"items": {keyed.Config{MaxItems: 7}, 7, 0},
		"bytes": {keyed.Config{MaxBytes: 65}, 7, 0},
		"span":  {keyed.Config{MaxSpan: 7}, 7, 6},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCore(tc.config)
			for i := range tc.adds {
				if !c.CanFetch("a") {
					t.Fatalf("full after %d items", i)
				}
				add(t, c, uint64(1000*(i+1)), fmt.Sprint("key", i))
			}
			first, _ := c.Next(t0)
			for range tc.finish {
				task, _ := c.Next(t0)
				c.Finish(task, done, t0)
			}
			if c.CanFetch("a") {
				t.Fatalf("not full: %+v, span %d", c.Stats(), c.Span("a"))
			}
			c.Finish(first, done, t0)
			if !c.CanFetch("a") {
				t.Fatalf("still full: %+v, span %d", c.Stats(), c.Span("a"))
			}
		})
	}
}

func TestBlockedLaneLeavesRoomForOthers(t *testing.T) {
	for name, config := range map[string]keyed.Config{
		"items": {MaxItems: 100},
		"bytes": {MaxBytes: 1000}, // of 10 each
	} {
		t.Run(name, func(t *testing.T) {
			c := newCore(config)
			c.Assign("b", 1, 1)
			for pos := uint64(1); c.CanFetch("a"); pos++ {
				add(t, c, pos, "blocked")
			}
			blocked := c.Stats().Items
			for pos := uint64(1); c.CanFetch("b"); pos++ {
				c.Add(item("b", 1, pos, "x"))
			}
			all := c.Stats().Items
			if all-blocked < 20 || all != 100 {
				t.Fatalf("%d items of a blocked lane, %d of the other; want 100 together", blocked, all-blocked)
			}
		})
	}
}

func TestATaskThatIsGivenBackRunsAsIfItHadNotBeenHandedOut(t *testing.T) {
	c := newCore(keyed.Config{})
	add(t, c, 1, "k")
	add(t, c, 2, "k")
	add(t, c, 3, "other")
	first := next(t, c, t0, 1)
	other := next(t, c, t0, 3)
	none(t, c, t0) // the key of a task in hand waits
	c.Return(first, t0.Add(time.Minute))
	c.Return(first, t0.Add(time.Minute)) // a second word is void
	c.Finish(first, done, t0.Add(time.Minute))
	low(t, c, 1)
	again := next(t, c, t0.Add(time.Hour), 1)
	none(t, c, t0.Add(time.Hour))
	if again.Attempt != 1 || !again.FirstTried.Equal(t0.Add(time.Hour)) {
		t.Errorf("attempt %d since %v, want the first, since now", again.Attempt, again.FirstTried)
	}
	c.Finish(again, done, t0.Add(time.Hour))
	c.Finish(other, done, t0.Add(time.Hour))
	low(t, c, 2)
}

func TestATaskGivenBackOnALaneThatIsGoneOrLeavesRunsNoMore(t *testing.T) {
	for name, leave := range map[string]func(*keyed.Core[string]){
		"revoked":  func(c *keyed.Core[string]) { c.Revoke("a") },
		"draining": func(c *keyed.Core[string]) { c.Drain("a") },
	} {
		c := newCore(keyed.Config{})
		add(t, c, 1, "k")
		task := next(t, c, t0, 1)
		leave(c)
		c.Return(task, t0)
		none(t, c, t0)
		if s := c.Stats(); s.Running != 0 || s.Items != 0 || s.Keys != 0 {
			t.Errorf("%s: the core still holds %+v", name, s)
		}
	}
}
