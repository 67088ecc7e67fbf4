package positions

import (
	"cmp"
	"slices"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	positionsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/positions/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
)

// An Execution is what a fill says, with the side of its order.
type Execution struct {
	ID    string
	At    time.Time
	Units int64 // negative: sold
	Price int64 // of one unit, in millionths
}

// book is the executions of one position, by time and id. The position is a
// function of this set, so it does not matter in which order fills arrive, or
// how often: that is what makes the service idempotent.
type book []Execution

// add enters an execution, unless it is known.
func (b book) add(x Execution) (book, bool) {
	i, known := slices.BinarySearchFunc(b, x, func(a, b Execution) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	if known {
		return b, false
	}
	return slices.Insert(b, i, x), true
}

// snapshot is the position at average cost. Cost is kept exactly, in
// millionths; only the average price is rounded. Unrealized profit is against
// the price of the last execution.
func (b book) snapshot(account string, security *commonv1.SecurityId, asOf time.Time) *positionsv1.PositionSnapshot {
	var units, cost, realized, last int64
	for _, x := range b {
		closed := min(abs(units), abs(x.Units))
		if sameSide(units, x.Units) {
			closed = 0
		}
		if closed > 0 { // part of the position goes, at its average cost
			share := cost * closed / abs(units)
			cost -= share
			realized += sign(units)*closed*x.Price - share
		}
		cost += (x.Units + sign(units)*closed) * x.Price
		units += x.Units
		last = x.Price
	}
	s := &positionsv1.PositionSnapshot{
		AccountId: account, Security: security, AsOf: timestamppb.New(asOf),
		Quantity:    service.Units(units),
		RealizedPnl: service.USD(realized), UnrealizedPnl: service.USD(units*last - cost),
	}
	if units != 0 {
		s.AvgPrice = service.Price(cost / units)
	}
	return s
}

func sameSide(a, b int64) bool { return a == 0 || a > 0 == (b > 0) }

func abs(n int64) int64 { return n * sign(n) }

func sign(n int64) int64 {
	if n < 0 {
		return -1
	}
	return 1
}
