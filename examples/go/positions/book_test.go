package positions

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
)

func executions(t *rapid.T) []Execution {
	n := rapid.IntRange(0, 30).Draw(t, "executions")
	all := make([]Execution, n)
	for i := range all {
		all[i] = Execution{
			ID:    fmt.Sprint("ex", i),
			At:    time.Unix(rapid.Int64Range(0, 20).Draw(t, "at"), 0), // ties are common
			Units: rapid.Int64Range(-200, 200).Draw(t, "units"),
			Price: rapid.Int64Range(1, 10_000).Draw(t, "price") * service.Micro,
		}
	}
	return all
}

func snapshotOf(all []Execution) *positionsv1.PositionSnapshot {
	var b book
	for _, x := range all {
		b, _ = b.add(x)
	}
	return b.snapshot("A", &commonv1.SecurityId{Symbol: "S", Mic: "M"}, time.Unix(0, 0))
}

func TestPositionDoesNotDependOnArrivalOrRepeats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := executions(t)
		want := snapshotOf(all)
		again := append(append([]Execution(nil), all...), all...)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		random.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if got := snapshotOf(again); !proto.Equal(got, want) {
			t.Errorf("shuffled and doubled: %v, want %v", got, want)
		}
	})
}

func TestProfitIsWhatWasEarnedAndWhatIsHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := executions(t)
		var b book
		var units, cash int64
		for _, x := range all {
			b, _ = b.add(x)
			units, cash = units+x.Units, cash-x.Units*x.Price
		}
		var last int64
		if len(b) > 0 {
			last = b[len(b)-1].Price
		}
		s := snapshotOf(all)
		if got := s.GetQuantity().GetScaled(); got != units {
			t.Errorf("%d units, want %d", got, units)
		}
		profit := s.GetRealizedPnl().GetAmount().GetScaled() + s.GetUnrealizedPnl().GetAmount().GetScaled()
		if want := cash + units*last; profit != want {
			t.Errorf("profit %d, want %d", profit, want)
		}
	})
}

func TestPositionAtAverageCost(t *testing.T) {
	const usd = service.Micro
	for _, c := range []struct {
		name                             string
		trades                           [][2]int64 // units, price in dollars
		units, avg, realized, unrealized int64
	}{
		{"bought", [][2]int64{{10, 100}}, 10, 100, 0, 0},
		{"bought twice", [][2]int64{{10, 100}, {10, 200}}, 20, 150, 0, 1000},
		{"sold half", [][2]int64{{10, 100}, {-5, 120}}, 5, 100, 100, 100},
		{"closed", [][2]int64{{10, 100}, {-10, 90}}, 0, 0, -100, 0},
		{"turned", [][2]int64{{10, 100}, {-15, 120}}, -5, 120, 200, 0},
		{"sold short and covered", [][2]int64{{-10, 100}, {10, 80}}, 0, 0, 200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all []Execution
			for i, x := range c.trades {
				all = append(all, Execution{ID: fmt.Sprint(i), At: time.Unix(int64(i), 0), Units: x[0], Price: x[1] * usd})
			}
			s := snapshotOf(all)
			got := [4]int64{
				s.GetQuantity().GetScaled(), s.GetAvgPrice().GetScaled(),
				s.GetRealizedPnl().GetAmount().GetScaled(), s.GetUnrealizedPnl().GetAmount().GetScaled(),
			}
			if want := [4]int64{c.units, c.avg * usd, c.realized * usd, c.unrealized * usd}; got != want {
				t.Errorf("units, average price, realized, unrealized = %v, want %v", got, want)
			}
		})
	}
}
