package oms

import (
	"fmt"
	"strings"
	"sync"
	"time"

	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	signalsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/signals/v1"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
)

// size is what a decision to buy or sell wants to hold.
const size = 100

// book knows what was ordered and what of it is open.
type book struct {
	account string

	mu      sync.Mutex
	held    map[string]holding // by security
	open    map[string]int64   // by client order id: ordered and not filled
	entered map[string]bool    // client order ids and execution ids
}

// holding is what a security's orders come to, and the newest decision on it.
type holding struct {
	units   int64
	decided time.Time
}

func newBook(account string) *book {
	return &book{
		account: account,
		held:    make(map[string]holding), open: make(map[string]int64), entered: make(map[string]bool),
	}
}

// order is what a decision asks for; nil: nothing. A decision that is not newer
// than the last one is a repeat, or too late: the latest wins (specification §7).
func (b *book) order(s *signalsv1.Signal) *ordersv1.OrderRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	key, at := securityKey(s.GetSecurity()), s.GetGeneratedAt().AsTime()
	h := b.held[key]
	if !at.After(h.decided) {
		return nil
	}
	target := h.units
	switch s.GetAction() {
	case commonv1.ActionType_ACTION_TYPE_BUY:
		target = size
	case commonv1.ActionType_ACTION_TYPE_SELL:
		target = -size
	case commonv1.ActionType_ACTION_TYPE_CLOSE:
		target = 0
	}
	if target == h.units {
		b.held[key] = holding{h.units, at}
		return nil
	}
	side, quantity := commonv1.Side_SIDE_BUY, target-h.units
	if quantity < 0 {
		side, quantity = commonv1.Side_SIDE_SELL, -quantity
	}
	return &ordersv1.OrderRequest{
		AccountId:     b.account,
		ClientOrderId: orderID(b.account, s.GetSecurity().GetSymbol(), at),
		Security:      s.GetSecurity(),
		Side:          side, Quantity: service.Units(quantity),
		OrderType: commonv1.OrderType_ORDER_TYPE_MARKET, Tif: commonv1.TimeInForce_TIME_IN_FORCE_DAY,
		Venue: "SIM", StrategyTag: s.GetModelId(), CreatedAt: s.GetGeneratedAt(),
	}
}

// orderID follows from the decision: one for each account, symbol and day.
func orderID(account, symbol string, at time.Time) string {
	return fmt.Sprintf("co_%s_%s_%s", account, at.Format("20060102"), strings.Trim(symbol, "^"))
}

// ordered enters an order that is stored, once.
func (b *book) ordered(o *ordersv1.OrderRequest) error {
	if o.GetAccountId() != b.account {
		return nil
	}
	units, err := service.Count(o.GetQuantity())
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.enter(o.GetClientOrderId(), o.GetClientOrderId(), units) {
		return nil
	}
	if o.GetSide() == commonv1.Side_SIDE_SELL {
		units = -units
	}
	key := securityKey(o.GetSecurity())
	b.held[key] = holding{b.held[key].units + units, o.GetCreatedAt().AsTime()}
	return nil
}

// filled enters an execution, once.
func (b *book) filled(execution string, f *fillsv1.FillEvent) error {
	if f.GetAccountId() != b.account {
		return nil
	}
	units, err := service.Count(f.GetQuantity())
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enter(execution, f.GetClientOrderId(), -units)
	return nil
}

// openOrders counts the orders that are not filled completely.
func (b *book) openOrders() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return float64(len(b.open))
}

// enter adds units to what is open of an order, unless what they come from is
// known. An execution may be entered before its order: both are on their way.
func (b *book) enter(what, order string, units int64) bool {
	if b.entered[what] {
		return false
	}
	b.entered[what] = true
	if b.open[order] += units; b.open[order] == 0 {
		delete(b.open, order)
	}
	return true
}

func securityKey(s *commonv1.SecurityId) string {
	return ampybus.SecurityKey(s.GetSymbol(), s.GetMic())
}
