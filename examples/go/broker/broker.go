// Package broker simulates a trading venue: it consumes orders.v1 and answers
// each order with partial fills in fills.v1, which do not arrive in the order in
// which they happened.
//
// What it does with an order follows from the order's id, so an order that
// comes twice is executed once: the second time has the same execution ids.
package broker

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	barsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/bars/v1"
	commonv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/common/v1"
	fillsv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/fills/v1"
	ordersv1 "github.com/AmpyFin/ampy-proto/v2/gen/go/ampy/orders/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/AmpyFin/ampy-bus/examples/go/service"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus"
	"github.com/AmpyFin/ampy-bus/pkg/ampybus/protopayload"
)

const (
	// Name is the service's name, and its group's.
	Name = "broker"
	// mostParts is the largest number of executions of one order.
	mostParts = 4
	// tick is the least difference of two prices: 0.01.
	tick = service.Micro / 100
	// busyOne: the venue refuses one order in so many at first.
	busyOne = 40
)

// errBusy is what passes: the bus hands the order over again after a pause, and
// meanwhile the orders of other keys go on.
var errBusy = errors.New("the venue is busy")

// broker knows the closing prices.
type broker struct {
	bars *service.Log[*barsv1.BarBatch]

	mu     sync.Mutex
	closes map[string]int64 // by security and time, in millionths
}

// Run executes orders until ctx ends.
func Run(ctx context.Context, bus *ampybus.Bus, c service.Config) error {
	b := &broker{
		bars:   service.NewLog[*barsv1.BarBatch](bus, c, c.Topic(ampybus.DomainBars, ">")),
		closes: make(map[string]int64),
	}
	group := c.Consumer(Name, c.Topic(ampybus.DomainOrders, "requests"))
	return bus.Consume(ctx, group, service.Decoded(
		func(ctx context.Context, m *ampybus.Message, o *ordersv1.OrderRequest) error {
			if m.Attempt == 1 && seed(o.GetClientOrderId())%busyOne == 0 {
				return errBusy
			}
			price, err := b.price(ctx, o.GetSecurity(), o.GetCreatedAt())
			if err != nil {
				return err
			}
			es, err := envelopes(execute(o, price), m, c)
			if err != nil {
				return err
			}
			return bus.PublishBatch(ctx, es...)
		}))
}

// price is the close at a time. Bars are stored before the order that they
// lead to, so what is not known yet is in the log.
func (b *broker) price(ctx context.Context, s *commonv1.SecurityId, at *timestamppb.Timestamp) (int64, error) {
	key := priceKey(s, at)
	if p, ok := b.close(key); ok {
		return p, nil
	}
	if err := b.bars.CatchUp(ctx, b.learn); err != nil {
		return 0, err
	}
	if p, ok := b.close(key); ok {
		return p, nil
	}
	return 0, fmt.Errorf("no price of %s", key)
}

func (b *broker) close(key string) (int64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.closes[key]
	return p, ok
}

func (b *broker) learn(_ *ampybus.Message, batch *barsv1.BarBatch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bar := range batch.GetBars() {
		p, err := service.Micros(bar.GetClose())
		if err != nil {
			return err
		}
		b.closes[priceKey(bar.GetSecurity(), bar.GetEventTime())] = p
	}
	return nil
}

func priceKey(s *commonv1.SecurityId, at *timestamppb.Timestamp) string {
	return s.GetMic() + "." + s.GetSymbol() + " at " + at.AsTime().Format(time.DateOnly)
}

// An execution is a fill and the venue's id of it: FillEvent has no field for
// the id, so it travels as dedupe key.
type execution struct {
	id   string
	fill *fillsv1.FillEvent
}

// execute fills an order completely, in up to mostParts parts, each a second
// and a tick after the one before, and returns them shuffled.
func execute(o *ordersv1.OrderRequest, price int64) []execution {
	random := rand.New(rand.NewPCG(seed(o.GetClientOrderId()), 0))
	worse := int64(tick)
	if o.GetSide() == commonv1.Side_SIDE_SELL {
		worse = -tick
	}
	var all []execution
	for left := o.GetQuantity().GetScaled(); left > 0; {
		part := left
		if n := len(all); n < mostParts-1 && left > 1 {
			part = 1 + random.Int64N(left)
		}
		left -= part
		n := len(all)
		all = append(all, execution{
			id: fmt.Sprintf("ex_%s_%d", o.GetClientOrderId(), n+1),
			fill: &fillsv1.FillEvent{
				AccountId: o.GetAccountId(), ClientOrderId: o.GetClientOrderId(),
				BrokerOrderId: "sim_" + o.GetClientOrderId(),
				Security:      o.GetSecurity(), Venue: o.GetVenue(),
				Price: service.Price(price + int64(n)*worse), Quantity: &commonv1.Decimal{Scaled: part, Scale: o.GetQuantity().GetScale()},
				EventTime: timestamppb.New(o.GetCreatedAt().AsTime().Add(time.Duration(n+1) * time.Second)),
			},
		})
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func seed(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return h.Sum64()
}

func envelopes(all []execution, m *ampybus.Message, c service.Config) ([]ampybus.Envelope, error) {
	es := make([]ampybus.Envelope, len(all))
	for i, x := range all {
		var err error
		es[i], err = service.Envelope(protopayload.Draft{
			Topic: c.Topic(ampybus.DomainFills, "events"), Message: x.fill,
			Producer: c.Producer(Name), Source: Name, DedupeKey: x.id,
		}, m)
		if err != nil {
			return nil, err
		}
	}
	return es, nil
}
