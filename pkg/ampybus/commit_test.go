package ampybus

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AmpyFin/ampy-bus/internal/keyed"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/driver"
)

// refusingSource fails every commit after a second.
type refusingSource struct {
	driver.Source
	asked []uint64
}

func (s *refusingSource) Commit(_ context.Context, _ string, _, low uint64) error {
	s.asked = append(s.asked, low)
	time.Sleep(time.Second)
	return errors.New("refused")
}

// A point that waits while one further on is asked for is behind it for good:
// asked for later it would move the lane back, as far as anybody can tell who
// heard nothing of the other one's failure.
func TestAPointIsNotAskedForBehindOneFurtherOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &refusingSource{}
		e := newEngine(&Bus{opts: Options{Observer: observers(nil)}}, Consumer{}, nil, src)
		l := &lane{name: "l", epoch: 1, committing: make(chan struct{}, 1)}
		for _, low := range []uint64{20, 10, 20, 30} {
			go e.commit(context.Background(), commitPoint{l, 1, low})
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []uint64{20, 20, 30}; !slices.Equal(src.asked, want) {
			t.Errorf("asked for %v, want %v", src.asked, want)
		}
	})
}

// batchSource commits lanes together: the first is taken, the second fenced,
// the third fails.
type batchSource struct {
	driver.Source
	asked [][]driver.Point
	alone []uint64
}

func (s *batchSource) CommitAll(_ context.Context, points []driver.Point) []error {
	s.asked = append(s.asked, slices.Clone(points))
	errs := make([]error, len(points))
	for i, p := range points {
		errs[i] = map[string]error{"fenced": driver.ErrFenced, "fails": errors.New("no")}[p.Lane]
	}
	return errs
}

func (s *batchSource) Commit(_ context.Context, _ string, _, low uint64) error {
	s.alone = append(s.alone, low)
	return nil
}

func (s *batchSource) Pause(string, bool) {}

func TestLanesAreCommittedTogether(t *testing.T) {
	src := &batchSource{}
	e := newEngine(&Bus{opts: Options{Observer: observers(nil)}}, Consumer{}, nil, src)
	for _, name := range []string{"taken", "fenced", "fails", "idle"} {
		l := &lane{name: name, epoch: 1, committed: 1, committing: make(chan struct{}, 1), cancel: func() {}}
		e.lanes[name] = l
		e.core.Assign(name, 1, 1)
		if name == "idle" {
			continue
		}
		e.core.Add(keyed.Item[*item]{Lane: name, Epoch: 1, Pos: 1, Value: &item{}})
		task, _ := e.core.Next(time.Now())
		e.core.Finish(task, keyed.Verdict{Outcome: keyed.Done}, time.Now())
	}
	e.commitAll(t.Context())
	if len(src.asked) != 1 || len(src.asked[0]) != 3 || len(src.alone) > 0 {
		t.Fatalf("asked for %v, and alone for %v", src.asked, src.alone)
	}
	if taken, fails := e.lanes["taken"], e.lanes["fails"]; e.lanes["fenced"] != nil || taken.committed != 2 || fails.committed != 1 {
		t.Errorf("lanes %v: taken at %d, failed at %d", e.lanes, taken.committed, fails.committed)
	}
	e.commitAll(t.Context()) // what failed is asked for again, by itself
	if len(src.asked) != 1 || !slices.Equal(src.alone, []uint64{2}) || e.lanes["fails"].committed != 2 {
		t.Errorf("asked for %v, then alone for %v", src.asked, src.alone)
	}
}
