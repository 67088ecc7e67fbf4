package oms

import (
	"testing"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
)

const (
	buy  = commonv1.ActionType_ACTION_TYPE_BUY
	sell = commonv1.ActionType_ACTION_TYPE_SELL
	hold = commonv1.ActionType_ACTION_TYPE_HOLD
	flat = commonv1.ActionType_ACTION_TYPE_CLOSE
)

func decision(day int, action commonv1.ActionType) *signalsv1.Signal {
	return &signalsv1.Signal{
		Security:    &commonv1.SecurityId{Symbol: "^IXIC", Mic: "XNAS"},
		GeneratedAt: timestamppb.New(time.Date(2004, 1, day, 21, 0, 0, 0, time.UTC)),
		Value:       &signalsv1.Signal_Action{Action: action},
	}
}

func enter(t *testing.T, b *book, o *ordersv1.OrderRequest) {
	t.Helper()
	if err := b.ordered(o); err != nil {
		t.Fatal(err)
	}
}

func TestDecisionsBecomeTheOrdersThatReachTheirTarget(t *testing.T) {
	b := newBook("A")
	for _, c := range []struct {
		day    int
		action commonv1.ActionType
		side   commonv1.Side
		units  int64 // 0: no order
	}{
		{1, hold, 0, 0},
		{2, buy, commonv1.Side_SIDE_BUY, 100},
		{3, buy, 0, 0},
		{4, sell, commonv1.Side_SIDE_SELL, 200},
		{5, flat, commonv1.Side_SIDE_BUY, 100},
		{6, flat, 0, 0},
	} {
		o := b.order(decision(c.day, c.action))
		if o.GetSide() != c.side || o.GetQuantity().GetScaled() != c.units {
			t.Errorf("day %d, %v: order %v of %d, want %v of %d", c.day, c.action, o.GetSide(), o.GetQuantity().GetScaled(), c.side, c.units)
		}
		if o != nil {
			enter(t, b, o)
		}
	}
}

func TestRepeatedDecisionIsOneOrder(t *testing.T) {
	b := newBook("A")
	first := b.order(decision(2, buy))
	if again := b.order(decision(2, buy)); !proto.Equal(first, again) {
		t.Errorf("before the order is stored, the same decision asks for %v, want %v", again, first)
	}
	enter(t, b, first)
	enter(t, b, first)
	if o := b.order(decision(2, buy)); o != nil {
		t.Errorf("once it is stored, the same decision asks for %v", o)
	}
	if o := b.order(decision(3, sell)); o.GetQuantity().GetScaled() != 200 {
		t.Errorf("the order counts %d times", o.GetQuantity().GetScaled()/100-1)
	}
}

func TestLateDecisionDoesNotTrade(t *testing.T) {
	b := newBook("A")
	enter(t, b, b.order(decision(9, buy)))
	if o := b.order(decision(2, sell)); o != nil {
		t.Errorf("a decision that is a week old asks for %v", o)
	}
}

func TestOrderIsOpenUntilItIsFilledWhateverComesFirst(t *testing.T) {
	b := newBook("A")
	o := b.order(decision(2, buy))
	fill := func(id string, units int64) {
		t.Helper()
		f := &fillsv1.FillEvent{AccountId: "A", ClientOrderId: o.GetClientOrderId(), Quantity: service.Units(units)}
		if err := b.filled(id, f); err != nil {
			t.Fatal(err)
		}
	}
	fill("ex_1", 40) // overtakes its order
	enter(t, b, o)
	fill("ex_1", 40)
	if n := b.openOrders(); n != 1 {
		t.Errorf("%v orders are open, want 1", n)
	}
	fill("ex_2", 60)
	if n := b.openOrders(); n != 0 {
		t.Errorf("%v orders are open, want 0", n)
	}
}
