package ampybus

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

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
